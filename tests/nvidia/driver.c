/* What cuDNN's engines ask of the CUDA driver when they are compiled without a GPU: all of it succeeds, and nothing is
 * done. The library has the driver's name and is found by the tests of this folder alone. */
#include <stdint.h>

#define DOES_NOTHING(name) \
    int name(void);        \
    int name(void)         \
    {                      \
        return 0;          \
    }
/* Gives out something that is not NULL. */
#define MAKES(name)                  \
    int name(void **out);            \
    int name(void **out)             \
    {                                \
        *out = (void *)(intptr_t)64; \
        return 0;                    \
    }

MAKES(cuLibraryLoadData)
MAKES(cuLibraryGetKernel)
MAKES(cuModuleLoadData)
MAKES(cuModuleLoadDataEx)
MAKES(cuModuleGetFunction)
DOES_NOTHING(cuLibraryLoadFromFile)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuModuleGetGlobal_v2)
DOES_NOTHING(cuModuleLoadFatBinary)
DOES_NOTHING(cuModuleUnload)
DOES_NOTHING(cuKernelGetAttribute)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuFuncGetAttribute)
DOES_NOTHING(cuFuncSetAttribute)
DOES_NOTHING(cuCtxGetCurrent)
DOES_NOTHING(cuCtxGetDevice)
DOES_NOTHING(cuCtxGetLimit)
DOES_NOTHING(cuCtxPopCurrent)
DOES_NOTHING(cuCtxPushCurrent)
DOES_NOTHING(cuDeviceGet)
DOES_NOTHING(cuDeviceGetAttribute)
DOES_NOTHING(cuDeviceGetCount)
DOES_NOTHING(cuDevicePrimaryCtxRelease)
DOES_NOTHING(cuDevicePrimaryCtxReset)
DOES_NOTHING(cuDevicePrimaryCtxRetain)
DOES_NOTHING(cuGetErrorName)
DOES_NOTHING(cuGetErrorString)
DOES_NOTHING(cuLaunchCooperativeKernel)
DOES_NOTHING(cuLaunchKernel)
DOES_NOTHING(cuLaunchKernelEx)
DOES_NOTHING(cuLinkAddData)
DOES_NOTHING(cuLinkAddData_v2)
DOES_NOTHING(cuLinkAddFile_v2)
DOES_NOTHING(cuLinkComplete)
DOES_NOTHING(cuLinkCreate)
DOES_NOTHING(cuLinkCreate_v2)
DOES_NOTHING(cuLinkDestroy)
DOES_NOTHING(cuMemcpyDtoH_v2)
DOES_NOTHING(cuOccupancyMaxActiveBlocksPerMultiprocessor)
DOES_NOTHING(cuOccupancyMaxPotentialClusterSize)
DOES_NOTHING(cuStreamGetCtx)
DOES_NOTHING(cuStreamSynchronize)
DOES_NOTHING(cuTensorMapEncodeTiled)

int cuDriverGetVersion(int *version);
int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}

/* CUDA_ERROR_NO_DEVICE */
int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
    (void)flags;
    return 100;
}
