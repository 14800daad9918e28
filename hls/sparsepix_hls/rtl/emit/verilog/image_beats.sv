// A whole image, cut into beats of some pixels in row-major order. The next image comes with its last beat, or later.
module image_beats #(
    parameter int IMAGE_BITS = 1,
    parameter int BEAT_BITS = 1,
    parameter int BEATS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [IMAGE_BITS-1:0] in_image,
    output logic beat_valid,
    output logic [BEAT_BITS-1:0] beat_pixels
);
  localparam int HELD = BEATS * BEAT_BITS;
  localparam int COUNT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  logic [HELD-1:0] held;
  logic [COUNT_BITS-1:0] beat;
  wire at_end = beat == COUNT_BITS'(BEATS - 1);
  assign beat_pixels = held[BEAT_BITS-1:0];

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      beat_valid <= 1'b0;
      beat <= '0;
    end else begin
      if (in_valid) beat_valid <= 1'b1;
      else if (at_end) beat_valid <= 1'b0;
      if (beat_valid) beat <= at_end ? '0 : beat + 1'b1;
    end
    if (in_valid) held <= HELD'(in_image);
    else held <= held >> BEAT_BITS;
  end
endmodule
