# The command, and libremat: the headers by their folders under include/remat, the libraries, and a pkg-config file.
include(GNUInstallDirs)
set(remat_libraries remat_trainer remat_profiler remat_runtime remat_models remat_solver remat_core)
install(TARGETS remat RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ${remat_libraries} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET remat_cuda)
    install(TARGETS remat_cuda LIBRARY DESTINATION lib/remat) # where the command looks: ../lib/remat from its folder
endif()
foreach(folder core models solver runtime profiler trainer)
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/remat
            FILES_MATCHING PATTERN "*.h" PATTERN "simd" EXCLUDE PATTERN "ref" EXCLUDE)
endforeach()
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # so that the installed tree may be moved
configure_file(${CMAKE_SOURCE_DIR}/cmake/remat.pc.in ${CMAKE_BINARY_DIR}/remat.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/remat.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
