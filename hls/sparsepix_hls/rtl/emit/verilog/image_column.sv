// A column of an image in registers, with a flag for each active pixel; one or two of its rows can be read. If so asked
// for, flags can be dropped again.
//
// All columns of an image are this one module, so synthesis may map it once.
module image_column #(
    parameter int HEIGHT = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter bit DROPS = 0,  // flags can be dropped
    parameter int READS = 1,  // rows that are read at once
    parameter int INDEX_BITS = 1  // 2 ** INDEX_BITS >= HEIGHT
) (
    input  logic clk,
    input  logic [HEIGHT-1:0] write,  // the rows that are written
    input  logic [HEIGHT*CHANNELS*BITS-1:0] pixels,
    input  logic [HEIGHT-1:0] dropped,
    output logic [HEIGHT-1:0] active,  // flags of the pixels that are written
    output logic [HEIGHT-1:0] flags,  // and of those that are held
    output logic [HEIGHT*CHANNELS*BITS-1:0] values,  // that are held
    input  logic [READS*INDEX_BITS-1:0] index,
    output logic [READS*CHANNELS*BITS-1:0] read_pixel,
    output logic [READS-1:0] read_flag
);
  localparam int LEAVES = 1 << INDEX_BITS;
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int ENTRY = PIXEL_BITS + 1;

  activity #(
      .PIXELS(HEIGHT), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) flag_pixels (
      .pixels(pixels),
      .active(active)
  );

  always_ff @(posedge clk)
    for (int r = 0; r < HEIGHT; r++)
      if (write[r]) begin
        values[r*PIXEL_BITS+:PIXEL_BITS] <= pixels[r*PIXEL_BITS+:PIXEL_BITS];
        flags[r] <= active[r];
      end else if (DROPS && dropped[r]) flags[r] <= 1'b0;

  // A tree of multiplexers over the rows, which synthesis maps to MUXF7 and MUXF8: a heap, where node n has the nodes
  // 2n and 2n + 1 below it and the rows are at the end.
  logic [2*LEAVES*ENTRY-1:0] nodes;
  always_comb
    for (int k = 0; k < READS; k++) begin
      nodes = '0;
      for (int r = 0; r < HEIGHT; r++)
        nodes[(LEAVES+r)*ENTRY+:ENTRY] = {flags[r], values[r*PIXEL_BITS+:PIXEL_BITS]};
      for (int level = INDEX_BITS - 1; level >= 0; level--)
        for (int n = 1 << level; n < 2 << level; n++)
          nodes[n*ENTRY+:ENTRY] = index[k*INDEX_BITS+INDEX_BITS-1-level]
              ? nodes[(2*n+1)*ENTRY+:ENTRY] : nodes[2*n*ENTRY+:ENTRY];
      {read_flag[k], read_pixel[k*PIXEL_BITS+:PIXEL_BITS]} = nodes[ENTRY+:ENTRY];
    end
endmodule
