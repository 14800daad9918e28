// Stand-in for the vendor's ap_axi_sdata.h, for the schedule: the data of a beat alone.
#ifndef SPARSEPIX_SCHEDULE_AP_AXI_SDATA_H
#define SPARSEPIX_SCHEDULE_AP_AXI_SDATA_H

namespace hls {

/// A beat; what is written to its other signals is not looked at.
/// \tparam Data type of TDATA
/// \tparam USER, ID, DEST widths of the side channels
template <class Data, int USER, int ID, int DEST>
struct axis {
  Data data;
  long long keep;
  long long strb;
  bool last;
};

} // namespace hls

#endif
