// loop_control: each event has its rounds in order, one a clock, and one result ROUNDS + DEPTH clocks after it came.
module loop_control_properties #(
    parameter int ROUNDS = 2,
    parameter int FOLDS = 1,
    parameter int DEPTH = 1,
    parameter int ROUND_BITS = 1,
    parameter int FOLD_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [ROUND_BITS-1:0] round,
    input logic [FOLD_BITS-1:0] fold,
    input logic issued,
    input logic store,
    input logic first,
    input logic last,
    input logic whole,
    input logic out_valid,
    input logic busy
);
  localparam int LATENCY = ROUNDS + DEPTH;
  logic known = 0;
  logic [LATENCY-1:0] came;  // bit k: an event came k + 1 clocks ago
  wire [ROUNDS-1:0] reads = came[ROUNDS-1:0];
  wire [ROUNDS-1:0] stores = came[ROUNDS+DEPTH-2:DEPTH-1];
  logic ends;  // a result of the last fold of an item is stored
  always_comb begin
    ends = 0;
    for (int i = FOLDS - 1; i < ROUNDS; i = i + FOLDS) ends = ends || stores[i];
  end
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    came <= rst_n ? LATENCY'({came, in_valid}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      distance: assume (!in_valid || reads[ROUNDS-1:0] << 1 == '0);
      reads_now: assert (busy == (reads != '0));
      in_order: assert (reads == '0 ? round == '0 && fold == '0 : reads == ROUNDS'(1) << (round * FOLDS + fold));
      at_the_end: assert (issued == reads[ROUNDS-1]);
      results: assert (store == (stores != '0));
      first_result: assert (!store || first == stores[0]);
      last_result: assert (!store || last == stores[ROUNDS-1]);
      whole_item: assert (!store || whole == ends);
      in_time: assert (out_valid == came[LATENCY-1]);
    end
  end
endmodule
