// A memory with one port to write and one to read; both take a clock. A word that is written and read at once reads as it
// was before.
module stream_bank #(
    parameter int BITS = 1,
    parameter int ADDRESS_BITS = 1,
    parameter bit IS_BLOCK = 0  // block memory, not LUTs
) (
    input  logic clk,
    input  logic writes,
    input  logic [ADDRESS_BITS-1:0] write_at,
    input  logic [BITS-1:0] write_word,
    input  logic [ADDRESS_BITS-1:0] read_at,
    output logic [BITS-1:0] read_word
);
  generate
    if (IS_BLOCK) begin : in_blocks
      (* ram_style = "block" *) logic [BITS-1:0] kept[1 << ADDRESS_BITS];
      always_ff @(posedge clk) begin
        if (writes) kept[write_at] <= write_word;
        read_word <= kept[read_at];
      end
    end else begin : in_luts
      (* ram_style = "distributed" *) logic [BITS-1:0] kept[1 << ADDRESS_BITS];
      always_ff @(posedge clk) begin
        if (writes) kept[write_at] <= write_word;
        read_word <= kept[read_at];
      end
    end
  endgenerate
endmodule
