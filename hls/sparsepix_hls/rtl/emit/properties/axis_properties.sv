// The whole design: AXI4-Stream at both ports, one result for each event, a fixed number of clocks after its last beat
// where stages never wait.
module axis_properties #(
    parameter int IN_BITS = 8,
    parameter int OUT_BITS = 8,
    parameter int BEATS = 1,
    parameter int TAIL = 1,  // clocks from a last beat to its result; 0: the result may come at any time
    parameter int PLACES = 2
) (
`ifdef FORMAL
    input int stored,  // results in the queue
    input int free,  // places that the gate knows of
    input logic returned,  // it will know of one more
`endif
    input logic aclk,
    input logic aresetn,
    input logic s_axis_tvalid,
    input logic s_axis_tready,
    input logic [IN_BITS-1:0] s_axis_tdata,
    input logic m_axis_tvalid,
    input logic m_axis_tready,
    input logic [OUT_BITS-1:0] m_axis_tdata,
    input logic m_axis_tlast
);
  int beats, waits;  // of the event; results that are complete and not taken
  logic known = 0, was_reset, offered, refused;
  logic [OUT_BITS-1:0] held_back;
  logic [IN_BITS-1:0] sent;
  localparam int ON_WAY = TAIL > 0 ? TAIL : 1;
  logic [ON_WAY-1:0] ended;  // bit k: a last beat came k + 1 clocks ago
  wire ends = s_axis_tvalid && s_axis_tready && beats == BEATS - 1;
  wire taken = m_axis_tvalid && m_axis_tready;
  int on_their_way;
  always_comb begin
    on_their_way = waits;
    for (int k = 0; k < ON_WAY - 1; k++) on_their_way += ended[k] ? 1 : 0;
  end
  always_ff @(posedge aclk) begin
    known <= known || !aresetn;
    was_reset <= !aresetn;
    offered <= aresetn && m_axis_tvalid && !m_axis_tready;
    refused <= aresetn && s_axis_tvalid && !s_axis_tready;
    held_back <= m_axis_tdata;
    sent <= s_axis_tdata;
    if (!aresetn) begin
      beats <= 0;
      waits <= 0;
      ended <= '0;
    end else begin
      if (s_axis_tvalid && s_axis_tready) beats <= ends ? 0 : beats + 1;
      ended <= ON_WAY'({ended, ends});
      waits <= waits + (TAIL > 1 ? ended[ON_WAY-2] ? 1 : 0 : ends ? 1 : 0) - (taken ? 1 : 0);
    end
`ifdef FORMAL
    if (!known) assume (!aresetn);
`endif
    if (known && aresetn) begin
      sender: assume (!refused || (s_axis_tvalid && s_axis_tdata == sent));
      after_reset: assert (!was_reset || (!m_axis_tvalid && !s_axis_tready));
      stays: assert (!offered || (m_axis_tvalid && m_axis_tdata == held_back));
      one_each: assert (TAIL > 0 ? m_axis_tvalid == (waits > 0) : !m_axis_tvalid || waits > 0);
      places: assert (beats >= 0 && beats < BEATS && waits >= 0 && on_their_way <= PLACES);
`ifdef FORMAL
      queue: assert (waits == stored);
      gate: assert (free == PLACES - on_their_way - (returned ? 1 : 0));
`endif
      whole: assert (m_axis_tlast);
    end
  end
endmodule
