// Words that wait between two steps of a stream, in order. The oldest is in the register of the output; the others are in
// a memory, which is read with the clock. A word leaves two clocks after it came, or later.
//
// There is no 'ready' for what comes: whoever writes keeps count of the words that it may send, see stream_credit.
module stream_queue #(
    parameter int BITS = 1,
    parameter int PLACES = 2,  // of the memory
    parameter bit IS_BLOCK = 0  // the memory is made of block memory, not of LUTs
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BITS-1:0] in_word,
    output logic out_valid,
    input  logic out_ready,
    output logic [BITS-1:0] out_word
);
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  localparam int COUNT_BITS = $clog2(PLACES + 1);
  localparam logic [PLACE_BITS-1:0] END = PLACE_BITS'(PLACES - 1);
  logic [PLACE_BITS-1:0] writing, reading;
  logic [COUNT_BITS-1:0] count;  // words in the memory
  wire pop = count != '0 && (!out_valid || out_ready);

  always_ff @(posedge clk)
    if (!rst_n) begin
      writing <= '0;
      reading <= '0;
      count <= '0;
      out_valid <= 1'b0;
    end else begin
      if (in_valid) writing <= writing == END ? '0 : writing + 1'b1;
      if (pop) reading <= reading == END ? '0 : reading + 1'b1;
      if (in_valid && !pop) count <= count + 1'b1;
      if (pop && !in_valid) count <= count - 1'b1;
      if (!out_valid || out_ready) out_valid <= pop;
    end

  generate
    if (IS_BLOCK) begin : in_blocks
      (* ram_style = "block" *) logic [BITS-1:0] kept[PLACES];
      always_ff @(posedge clk) begin
        if (in_valid) kept[writing] <= in_word;
        if (pop) out_word <= kept[reading];
      end
    end else begin : in_luts
      (* ram_style = "distributed" *) logic [BITS-1:0] kept[PLACES];
      always_ff @(posedge clk) begin
        if (in_valid) kept[writing] <= in_word;
        if (pop) out_word <= kept[reading];
      end
    end
  endgenerate
endmodule
