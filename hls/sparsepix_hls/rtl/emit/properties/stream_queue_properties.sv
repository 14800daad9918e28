// stream_queue: what is offered stays until it is taken; words leave in the order in which they came, each once.
module stream_queue_properties #(
    parameter int BITS = 1,
    parameter int PLACES = 2,
    parameter int PLACE_BITS = 1,
    parameter int COUNT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [BITS-1:0] in_word,
    input logic out_valid,
    input logic out_ready,
    input logic [BITS-1:0] out_word,
`ifdef FORMAL
    output logic [PLACE_BITS-1:0] slot,  // of the memory, whose content is
    input logic [BITS-1:0] kept_there,
`endif
    input logic [PLACE_BITS-1:0] writing,
    input logic [PLACE_BITS-1:0] reading,
    input logic [COUNT_BITS-1:0] count
);
  int stored;  // words that have come and have not been taken
  logic known = 0, offered;
  logic [BITS-1:0] held_back;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    offered <= rst_n && out_valid && !out_ready;
    held_back <= out_word;
    if (!rst_n) stored <= 0;
    else stored <= stored + (in_valid ? 1 : 0) - (out_valid && out_ready ? 1 : 0);
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      place: assume (!in_valid || int'(count) < PLACES);
      stays: assert (!offered || (out_valid && out_word == held_back));
      counts: assert (stored == int'(count) + (out_valid ? 1 : 0) && int'(count) <= PLACES);
      pointers: assert (int'(writing) < PLACES && int'(reading) < PLACES
                        && (int'(reading) + int'(count)) % PLACES == int'(writing));
    end
  end

`ifdef FORMAL
  // One of the words, any of them, is followed.
  (* anyseq *) logic follow;
  logic followed;
  logic [BITS-1:0] its;
  int ahead;  // words that leave first
  assign slot = PLACE_BITS'((int'(reading) + ahead + PLACES - (out_valid ? 1 : 0)) % PLACES);
  wire leaves = out_valid && out_ready;
  always_ff @(posedge clk)
    if (!rst_n) followed <= 1'b0;
    else if (followed) begin
      if (leaves) ahead <= ahead - 1;
      if (leaves && ahead == 0) followed <= 1'b0;
    end else if (follow && in_valid) begin
      followed <= 1'b1;
      its <= in_word;
      ahead <= stored - (leaves ? 1 : 0);
    end
  always_ff @(posedge clk)
    if (known && rst_n && followed) begin
      waits: assert (ahead >= 0 && ahead < stored);
      if (out_valid && ahead == 0) arrives: assert (out_word == its);
      else kept_for_it: assert (kept_there == its);
    end
`endif
endmodule
