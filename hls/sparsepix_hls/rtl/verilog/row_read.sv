// A row of an image and its flags: a tree of multiplexers over the rows, which synthesis maps to MUXF7 and MUXF8.
module row_read #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int PIXEL_BITS = 1,
    parameter int INDEX_BITS = 1  // 2 ** INDEX_BITS >= HEIGHT
) (
    input  logic valid,  // without it no flag is set
    input  logic [INDEX_BITS-1:0] index,  // of the row
    input  logic [HEIGHT*WIDTH*PIXEL_BITS-1:0] image,
    input  logic [HEIGHT*WIDTH-1:0] flags,
    output logic [WIDTH*PIXEL_BITS-1:0] line,
    output logic [WIDTH-1:0] columns
);
  localparam int LEAVES = 1 << INDEX_BITS;
  localparam int LINE = WIDTH * PIXEL_BITS;
  // A heap: node n has the nodes 2n and 2n + 1 below it, the leaves stand at the end.
  logic [2*LEAVES*LINE-1:0] lines;
  logic [2*LEAVES*WIDTH-1:0] sets;
  always_comb begin
    lines = '0;
    sets = '0;
    lines[LEAVES*LINE+:HEIGHT*LINE] = image;
    sets[LEAVES*WIDTH+:HEIGHT*WIDTH] = flags;
    for (int level = INDEX_BITS - 1; level >= 0; level--)
      for (int n = 1 << level; n < 2 << level; n++) begin
        lines[n*LINE+:LINE] = index[INDEX_BITS-1-level] ? lines[(2*n+1)*LINE+:LINE] : lines[2*n*LINE+:LINE];
        sets[n*WIDTH+:WIDTH] = index[INDEX_BITS-1-level] ? sets[(2*n+1)*WIDTH+:WIDTH] : sets[2*n*WIDTH+:WIDTH];
      end
  end
  assign line = lines[LINE+:LINE];
  assign columns = valid ? sets[WIDTH+:WIDTH] : '0;
endmodule
