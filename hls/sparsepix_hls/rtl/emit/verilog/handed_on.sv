// Values that a loop stage hands on: read with the event, given out with its result.
// Events are in flight between the issue of their last round and their result, at most SLOTS at a time.
module handed_on #(
    parameter int BITS = 1,
    parameter int SLOTS = 1,
    parameter int SLOT_BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic issued,  // 'in' belongs to the event whose last round is issued now
    input  logic stored,  // the result of the oldest event is stored now
    input  logic [BITS-1:0] in,
    output logic [BITS-1:0] out
);
  logic [BITS-1:0] kept[SLOTS];
  logic [SLOT_BITS-1:0] writing, reading;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      writing <= '0;
      reading <= '0;
    end else begin
      if (issued) writing <= writing == SLOT_BITS'(SLOTS - 1) ? '0 : writing + 1'b1;
      if (stored) reading <= reading == SLOT_BITS'(SLOTS - 1) ? '0 : reading + 1'b1;
    end
    if (issued) kept[writing] <= in;
    if (stored) out <= kept[reading];
  end
endmodule
