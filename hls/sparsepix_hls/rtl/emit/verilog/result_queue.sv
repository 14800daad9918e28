// Results that wait to be taken, in order. One comes when it comes: event_gate has kept a place for it.
//
// The oldest result is in a register, which is the output port; a result that finds nothing before it goes there at once.
// The others wait in a memory, which synthesis makes of LUTs.
module result_queue #(
    parameter int BITS = 1,
    parameter int PLACES = 2  // that of the output included
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BITS-1:0] coming,
    output logic out_valid,
    input  logic out_ready,
    output logic [BITS-1:0] leaving,
    output logic returned  // a place has become free, a clock ago
);
  localparam int SLOTS = PLACES - 1;
  localparam int SLOT_BITS = SLOTS > 1 ? $clog2(SLOTS) : 1;
  localparam int COUNT_BITS = $clog2(SLOTS + 1);
  localparam logic [SLOT_BITS-1:0] END = SLOT_BITS'(SLOTS - 1);

  (* ram_style = "distributed" *) logic [BITS-1:0] kept[SLOTS];
  logic [SLOT_BITS-1:0] writing, reading;
  logic [COUNT_BITS-1:0] count;  // results in the memory
  wire moves = !out_valid || out_ready;  // the output takes the next result
  wire waiting = count != '0;
  wire push = in_valid && (waiting || !moves);
  wire pop = waiting && moves;

  always_ff @(posedge clk)
    if (!rst_n) begin
      out_valid <= 1'b0;
      writing <= '0;
      reading <= '0;
      count <= '0;
      returned <= 1'b0;
    end else begin
      if (moves) out_valid <= waiting || in_valid;
      if (push) writing <= writing == END ? '0 : writing + 1'b1;
      if (pop) reading <= reading == END ? '0 : reading + 1'b1;
      if (push && !pop) count <= count + 1'b1;
      if (pop && !push) count <= count - 1'b1;
      returned <= out_valid && out_ready;
    end

  always_ff @(posedge clk) begin
    if (moves) leaving <= waiting ? kept[reading] : coming;
    if (push) kept[writing] <= coming;
  end
endmodule
