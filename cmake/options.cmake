# Compiler settings shared by everything we build.
add_library(remat_options INTERFACE)
target_compile_options(remat_options INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                                               -Wvla -fno-math-errno -ffp-contract=off)
target_compile_definitions(remat_options INTERFACE _GNU_SOURCE)
if(REMAT_WERROR)
    target_compile_options(remat_options INTERFACE -Werror)
endif()
if(REMAT_SANITIZE)
    target_compile_options(remat_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                                   -fno-omit-frame-pointer)
    target_link_options(remat_options INTERFACE -fsanitize=address,undefined)
endif()
if(REMAT_COVERAGE)
    target_compile_options(remat_options INTERFACE --coverage)
    target_link_options(remat_options INTERFACE --coverage)
endif()
