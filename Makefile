# The two commands of the README, and the everyday ones. CMake does the work (CMakePresets.json).
.PHONY: all build demo test asan format check-format check-includes verify-results install clean setup bundle gpu-check gpu-bench

all: build

setup:
	./setup

build: setup
	@test -f build/build.ninja || cmake --preset release > /dev/null
	@cmake --build build

demo: build
	scripts/demo

test: build
	ctest --test-dir build --output-on-failure

asan: setup
	cmake --preset asan > /dev/null
	cmake --build build/asan
	ctest --test-dir build/asan --output-on-failure

format:
	git ls-files '*.c' '*.h' '*.cu' '*.cc' | xargs clang-format -i

check-format:
	git ls-files '*.c' '*.h' '*.cu' '*.cc' | xargs clang-format --dry-run --Werror

check-includes:
	scripts/check-includes

verify-results: build
	scripts/verify-results

bundle: build
	scripts/bundle build build/remat-bundle.tar.gz

# On a machine with a GPU (docs/cuda.md).
gpu-check: build
	bench/gpu/check build

gpu-bench: build
	bench/gpu/bench build

install: build
	cmake --install build

clean:
	rm -rf build
