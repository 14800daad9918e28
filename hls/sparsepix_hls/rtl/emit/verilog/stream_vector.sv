// A vector of zeros that the pixels of an event fill in, each at its place.
module stream_vector #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int BITS = 8,  // of a pixel
    parameter int ROW_BITS = 1,
    parameter int COLUMN_BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic in_ends,
    input  logic [ROW_BITS-1:0] in_row,
    input  logic [COLUMN_BITS-1:0] in_column,
    input  logic [BITS-1:0] in_pixel,
    output logic [HEIGHT*WIDTH*BITS-1:0] vector
);
  logic [HEIGHT-1:0] row;
  logic [WIDTH-1:0] column;
  always_comb begin
    for (int y = 0; y < HEIGHT; y++) row[y] = in_valid && !in_ends && in_row == ROW_BITS'(y);
    for (int x = 0; x < WIDTH; x++) column[x] = in_column == COLUMN_BITS'(x);
  end
  always_ff @(posedge clk)
    if (!rst_n || (in_valid && in_ends)) vector <= '0;
    else
      for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
          if (row[y] && column[x]) vector[(y*WIDTH+x)*BITS+:BITS] <= in_pixel;
endmodule
