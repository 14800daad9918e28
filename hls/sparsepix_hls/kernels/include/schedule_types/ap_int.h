// Stand-in for the vendor's header of this name, see numbers.h beside it.
#ifndef SPARSEPIX_SCHEDULE_AP_INT_H
#define SPARSEPIX_SCHEDULE_AP_INT_H

#include "numbers.h"

#endif
