// loop_control: each event has its rounds in order, one a clock, and one result ROUNDS + DEPTH clocks after it came.
module loop_control_properties #(
    parameter int ROUNDS = 2,
    parameter int DEPTH = 1,
    parameter int ROUND_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [ROUND_BITS-1:0] round,
    input logic issued,
    input logic store,
    input logic first,
    input logic last,
    input logic out_valid,
    input logic busy
);
  localparam int LATENCY = ROUNDS + DEPTH;
  logic known = 0;
  logic [LATENCY-1:0] came;  // bit k: an event came k + 1 clocks ago
  wire [ROUNDS-1:0] reads = came[ROUNDS-1:0];
  wire [ROUNDS-1:0] stores = came[ROUNDS+DEPTH-2:DEPTH-1];
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    came <= rst_n ? LATENCY'({came, in_valid}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      distance: assume (!in_valid || reads[ROUNDS-1:0] << 1 == '0);
      reads_now: assert (busy == (reads != '0));
      in_order: assert (reads == '0 ? round == '0 : reads == ROUNDS'(1) << round);
      at_the_end: assert (issued == reads[ROUNDS-1]);
      results: assert (store == (stores != '0));
      first_result: assert (!store || first == stores[0]);
      last_result: assert (!store || last == stores[ROUNDS-1]);
      in_time: assert (out_valid == came[LATENCY-1]);
    end
  end
endmodule
