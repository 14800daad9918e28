// Stand-in for the vendor's header of this name: ap_fixed and ap_ufixed as native integers, for g++ alone.
// This folder is on the include path of the native build and of nothing else.
#ifndef SPARSEPIX_NATIVE_AP_FIXED_H
#define SPARSEPIX_NATIVE_AP_FIXED_H

#include "ap_int.h"

using sparsepix::native::AP_RND;
using sparsepix::native::AP_RND_CONV;
using sparsepix::native::AP_SAT;
using sparsepix::native::AP_SAT_SYM;
using sparsepix::native::AP_TRN;
using sparsepix::native::AP_WRAP;

template <int W, int I, sparsepix::native::Rounding Q = AP_TRN, sparsepix::native::Overflow O = AP_WRAP>
using ap_fixed = sparsepix::native::Number<W, I, true, Q, O>;
template <int W, int I, sparsepix::native::Rounding Q = AP_TRN, sparsepix::native::Overflow O = AP_WRAP>
using ap_ufixed = sparsepix::native::Number<W, I, false, Q, O>;

#endif
