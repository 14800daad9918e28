// A pixel of a row and its column: an AND-OR multiplexer over the columns.
module pixel_read #(
    parameter int WIDTH = 1,
    parameter int PIXEL_BITS = 1,
    parameter int COORD_BITS = 1
) (
    input  logic [WIDTH-1:0] picked,  // the column, one bit; none: everything is 0
    input  logic [WIDTH*PIXEL_BITS-1:0] line,
    output logic [PIXEL_BITS-1:0] pixel,
    output logic [COORD_BITS-1:0] column
);
  always_comb begin
    pixel = '0;
    column = '0;
    for (int x = 0; x < WIDTH; x++) begin
      pixel |= line[x*PIXEL_BITS+:PIXEL_BITS] & {PIXEL_BITS{picked[x]}};
      column |= COORD_BITS'(x) & {COORD_BITS{picked[x]}};
    end
  end
endmodule
