// Stand-in for the vendor's ap_axi_sdata.h, for simulation with g++: a beat of an AXI4-Stream.
#ifndef SPARSEPIX_SIMULATION_AP_AXI_SDATA_H
#define SPARSEPIX_SIMULATION_AP_AXI_SDATA_H

namespace hls {

/// A beat with TDATA, TKEEP, TSTRB and TLAST.
/// \tparam Data type of TDATA
/// \tparam USER, ID, DEST widths of the side channels, which must be 0
template <class Data, int USER, int ID, int DEST>
struct axis {
  static_assert(USER == 0 && ID == 0 && DEST == 0, "simulation has no TUSER, TID and TDEST");
  Data data;
  long long keep; // -1: all bytes
  long long strb;
  bool last;
};

} // namespace hls

#endif
