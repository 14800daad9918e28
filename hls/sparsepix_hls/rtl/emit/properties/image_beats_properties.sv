// image_beats: an image is followed by its beats, in order and without a gap.
module image_beats_properties #(
    parameter int IMAGE_BITS = 1,
    parameter int BEAT_BITS = 1,
    parameter int BEATS = 1,
    parameter int COUNT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [IMAGE_BITS-1:0] in_image,
    input logic beat_valid,
    input logic [BEAT_BITS-1:0] beat_pixels,
    input logic [BEATS*BEAT_BITS-1:0] held,
    input logic [COUNT_BITS-1:0] beat
);
  localparam int WIDE = BEATS * BEAT_BITS;
  logic known = 0;
  logic [BEATS-1:0] came;  // bit k: an image came k + 1 clocks ago
  logic [WIDE-1:0] image;
  logic [BEAT_BITS-1:0] expected;
  always_comb begin
    expected = '0;
    for (int k = 0; k < BEATS; k++) if (came[k]) expected |= image[k*BEAT_BITS+:BEAT_BITS];
  end
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    came <= rst_n ? BEATS'({came, in_valid}) : '0;
    if (in_valid) image <= WIDE'(in_image);
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      distance: assume (!in_valid || came << 1 == '0);
      follows: assert (beat_valid == (came != '0));
      in_order: assert (came == '0 ? beat == '0 : came == BEATS'(1) << beat);
      rest: assert (came == '0 || held == image >> int'(beat) * BEAT_BITS);
      its_beat: assert (!beat_valid || beat_pixels == expected);
    end
  end
endmodule
