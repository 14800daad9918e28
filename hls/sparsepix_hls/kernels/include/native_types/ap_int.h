// Stand-in for the vendor's header of this name: ap_int and ap_uint as native integers, for g++ alone.
// This folder is on the include path of the native build and of nothing else.
#ifndef SPARSEPIX_NATIVE_AP_INT_H
#define SPARSEPIX_NATIVE_AP_INT_H

#include "native.h"

#define SPARSEPIX_NATIVE // tells types.h which of the two it has

template <int W>
using ap_int = sparsepix::native::Number<W, W, true>;
template <int W>
using ap_uint = sparsepix::native::Number<W, W, false>;

#endif
