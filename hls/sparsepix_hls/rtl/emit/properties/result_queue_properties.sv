// result_queue: what is offered stays until it is taken; results come out in the order in which they came in, each once.
module result_queue_properties #(
    parameter int BITS = 1,
    parameter int PLACES = 2,
    parameter int SLOTS = 1,
    parameter int SLOT_BITS = 1,
    parameter int COUNT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [BITS-1:0] coming,
    input logic out_valid,
    input logic out_ready,
    input logic [BITS-1:0] leaving,
    input logic returned,
`ifdef FORMAL
    output logic [SLOT_BITS-1:0] slot,  // of the memory, whose content is
    input logic [BITS-1:0] kept_there,
`endif
    input logic [SLOT_BITS-1:0] writing,
    input logic [SLOT_BITS-1:0] reading,
    input logic [COUNT_BITS-1:0] count
);
  int stored;  // results that have come and have not been taken
  logic known = 0, offered, taken;
  logic [BITS-1:0] held_back;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    offered <= rst_n && out_valid && !out_ready;
    taken <= rst_n && out_valid && out_ready;
    held_back <= leaving;
    if (!rst_n) stored <= 0;
    else stored <= stored + (in_valid ? 1 : 0) - (out_valid && out_ready ? 1 : 0);
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      place: assume (!in_valid || stored < PLACES);
      stays: assert (!offered || (out_valid && leaving == held_back));
      gives_back: assert (returned == taken);
      counts: assert (stored == int'(count) + (out_valid ? 1 : 0) && stored >= 0 && stored <= PLACES
                      && int'(count) <= SLOTS && (count == '0 || out_valid));
      pointers: assert (int'(writing) < SLOTS && int'(reading) < SLOTS
                        && (int'(reading) + int'(count)) % SLOTS == int'(writing));
    end
  end

`ifdef FORMAL
  // One of the results, any of them, is followed.
  (* anyseq *) logic follow;
  logic followed;
  logic [BITS-1:0] its;
  int ahead;  // results that leave first
  assign slot = SLOT_BITS'((int'(reading) + ahead + SLOTS - 1) % SLOTS);
  wire leaves = out_valid && out_ready;
  always_ff @(posedge clk)
    if (!rst_n) followed <= 1'b0;
    else if (followed) begin
      if (leaves) ahead <= ahead - 1;
      if (leaves && ahead == 0) followed <= 1'b0;
    end else if (follow && in_valid) begin
      followed <= 1'b1;
      its <= coming;
      ahead <= stored - (leaves ? 1 : 0);
    end
  always_ff @(posedge clk)
    if (known && rst_n && followed) begin
      waits: assert (ahead >= 0 && ahead < stored);
      if (ahead == 0) arrives: assert (leaving == its);
      else kept_for_it: assert (kept_there == its);
    end
`endif
endmodule
