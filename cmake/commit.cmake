# Run at every build: writes the commit into a header, which changes only when the commit does.
execute_process(COMMAND git describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE_DIR}
                OUTPUT_VARIABLE REMAT_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT REMAT_COMMIT)
    set(REMAT_COMMIT unknown)
endif()
configure_file(${SOURCE_DIR}/cmake/commit.h.in ${OUTPUT} @ONLY)
