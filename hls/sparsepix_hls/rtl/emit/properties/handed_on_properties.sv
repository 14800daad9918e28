// handed_on: what belongs to an event comes out with its result, in order.
module handed_on_properties #(
    parameter int BITS = 1,
    parameter int SLOTS = 1,
    parameter int SLOT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic issued,
    input logic stored,
    input logic [BITS-1:0] in,
    input logic [BITS-1:0] out,
`ifdef FORMAL
    output logic [SLOT_BITS-1:0] slot,  // of the memory, whose content is
    input logic [BITS-1:0] kept_there,
`endif
    input logic [SLOT_BITS-1:0] writing,
    input logic [SLOT_BITS-1:0] reading
);
  int under_way;
  logic known = 0;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    if (!rst_n) under_way <= 0;
    else under_way <= under_way + (issued ? 1 : 0) - (stored ? 1 : 0);
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      one_there: assume (!stored || under_way > 0);
      room: assume (!issued || under_way < SLOTS || stored);
      counts: assert (under_way >= 0 && under_way <= SLOTS);
      pointers: assert (int'(writing) < SLOTS && int'(reading) < SLOTS
                        && (int'(reading) + under_way) % SLOTS == int'(writing));
    end
  end

`ifdef FORMAL
  // One of the events, any of them, is followed.
  (* anyseq *) logic follow;
  logic followed, out_now;
  logic [BITS-1:0] its;
  int ahead;
  assign slot = SLOT_BITS'((int'(reading) + ahead) % SLOTS);
  always_ff @(posedge clk) begin
    out_now <= rst_n && followed && stored && ahead == 0;
    if (!rst_n) followed <= 1'b0;
    else if (followed) begin
      if (stored) ahead <= ahead - 1;
      if (stored && ahead == 0) followed <= 1'b0;
    end else if (follow && issued) begin
      followed <= 1'b1;
      its <= in;
      ahead <= under_way - (stored ? 1 : 0);
    end
  end
  logic [BITS-1:0] its_before;
  always_ff @(posedge clk) its_before <= its;
  always_ff @(posedge clk)
    if (known && rst_n) begin
      if (out_now) arrives: assert (out == its_before);
      if (followed) kept_for_it: assert (ahead >= 0 && ahead < under_way && kept_there == its);
    end
`endif
endmodule
