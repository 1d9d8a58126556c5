# The cuda backend: libremat_cuda.so beside the command, where nvcc is; it brings the parts of core that it uses. And the
# same sources, but for NVIDIA's libraries, are compiled for the tests' emulator of a GPU (tests/CMakeLists.txt).
set(cuda_folder ${CMAKE_SOURCE_DIR}/runtime/backend/cuda)
set(cuda_kernels add attention batchnorm bias conv_plain dropout embedding feed gelu gemm_plain layernorm loss pool relu
                 update update_joined)
list(TRANSFORM cuda_kernels PREPEND ${cuda_folder}/ OUTPUT_VARIABLE cuda_kernels)
list(TRANSFORM cuda_kernels APPEND .cu OUTPUT_VARIABLE cuda_kernels)
set(cuda_common ${cuda_folder}/cuda.c ${cuda_folder}/device.c ${cuda_folder}/nvml.c
                ${cuda_folder}/library_search.c ${cuda_folder}/linear.c ${cuda_folder}/conv_product.c
                ${cuda_folder}/classifier.c ${CMAKE_SOURCE_DIR}/runtime/backend/op_table.c)
foreach(file base/status base/memory base/size base/hash graph/op graph/op_attr graph/tensor)
    list(APPEND cuda_common ${CMAKE_SOURCE_DIR}/core/${file}.c)
endforeach()
set(cuda_libraries ${cuda_folder}/table.c ${cuda_folder}/libraries.c ${cuda_folder}/gemm_lt.c
                   ${cuda_folder}/linear_lt.c ${cuda_folder}/conv_product_lt.c ${cuda_folder}/conv_cudnn.c
                   ${cuda_folder}/cudnn_plan.c ${cuda_folder}/attention_cudnn.c)

function(remat_plugin name)
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE PkgConfig::XXHASH PkgConfig::JANSSON)
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_options(${name} PRIVATE -Wl,--no-undefined -Wl,--as-needed -Wl,--gc-sections)
    set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                                             CUDA_VISIBILITY_PRESET hidden)
endfunction()

if(NOT REMAT_CUDA STREQUAL OFF)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 90) # H100, H200; name others with -DCMAKE_CUDA_ARCHITECTURES="80;90"
    endif()
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        enable_language(CUDA)
        find_package(CUDAToolkit REQUIRED)
        find_path(CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
    endif()
    if(REMAT_CUDA STREQUAL ON AND NOT CUDNN_INCLUDE)
        message(FATAL_ERROR "the cuda backend needs nvcc and cudnn.h")
    endif()
endif()

if(CMAKE_CUDA_COMPILER AND CUDNN_INCLUDE)
    set(CMAKE_CUDA_STANDARD 17)
    add_library(remat_cuda MODULE ${cuda_kernels} ${cuda_common} ${cuda_libraries})
    remat_plugin(remat_cuda)
    target_include_directories(remat_cuda PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE})
    target_compile_options(remat_cuda PRIVATE
        $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla>
        $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wno-unused-function --fmad=false -lineinfo>)
    if(REMAT_WERROR)
        target_compile_options(remat_cuda PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>
                                                  $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings>)
    endif()
    target_link_libraries(remat_cuda PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
    set_target_properties(remat_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} INSTALL_RPATH "$ORIGIN")
endif()
