# Libraries from the system; ./setup installs the Debian packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo pangocairo)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
find_library(DNNL_LIBRARY dnnl REQUIRED)
# Optional: linear programs, for the stronger lower bounds. Debian has an archive only, which needs colamd and dl.
find_path(LPSOLVE_INCLUDE lpsolve/lp_lib.h)
find_library(LPSOLVE_LIBRARY NAMES lpsolve55_pic lpsolve55)
find_library(COLAMD_LIBRARY colamd)
