// Which pixels of a column are among the largest of the image: 'largest_control' decides for all columns, and each
// column carries it out.
//
// A pixel's key is its score, then its row and its column counted from the end, so that of equal scores the earlier
// pixel is larger. Keys are read in digits of two bits, the highest first. 'candidates' are the pixels of which this
// is not decided yet; 'dropped' says which of them are not among the largest.
//
// All columns of an image are this one module, so synthesis may map it once.
module largest_column #(
    parameter int HEIGHT = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int RULE = 0,  // see scores
    parameter int SCORE_DIGITS = 4,
    parameter int ROW_DIGITS = 1,
    parameter int ROUND_BITS = 3,
    parameter int COUNT_BITS = 1  // 2 ** COUNT_BITS > HEIGHT
) (
    input  logic clk,
    input  logic [HEIGHT*CHANNELS*BITS-1:0] values,
    input  logic [HEIGHT-1:0] flags,  // of the active pixels
    input  logic begins,  // a new image is held
    input  logic narrow,  // drop the candidates whose digit is below the limit; those above it are kept for good
    input  logic [1:0] limit,
    input  logic [ROUND_BITS-1:0] round,  // the digit that is read next
    input  logic [1:0] column_digit,  // that of the column, from then on when the rows' digits are read
    output logic [HEIGHT-1:0] dropped,
    output logic [3*COUNT_BITS-1:0] counts  // of candidates whose digit is at least 1, 2, 3
);
  localparam int DIGITS = 1 << ROUND_BITS;
  localparam int SCORE_BITS = 2 * SCORE_DIGITS;
  localparam int SIXES = (HEIGHT + 5) / 6;
  localparam int LEVELS = SIXES > 1 ? $clog2(SIXES) : 0;
  localparam int LEAVES = 1 << LEVELS;

  // How many of six bits are set: two full adders and what joins them, a LUT for each bit of the result. As a table it
  // would become a tree of multiplexers.
  function automatic logic [2:0] of_six(input logic [5:0] b);
    logic low, high, low_carry, high_carry, carry;
    low = b[0] ^ b[1] ^ b[2];
    high = b[3] ^ b[4] ^ b[5];
    low_carry = (b[0] & b[1]) | (b[2] & (b[0] | b[1]));
    high_carry = (b[3] & b[4]) | (b[5] & (b[3] | b[4]));
    carry = low & high;
    of_six = {
      (low_carry & high_carry) | (carry & (low_carry | high_carry)), low_carry ^ high_carry ^ carry, low ^ high
    };
  endfunction

  // --- the digit of each pixel that is read next
  logic [2*HEIGHT-1:0] next_digits;
  logic [2*DIGITS-1:0] key;  // digit 0, the highest, in the low bits
  wire [HEIGHT*SCORE_BITS-1:0] score;
  scores #(
      .PIXELS(HEIGHT), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .RULE(RULE), .SCORE_BITS(SCORE_BITS)
  ) score_pixels (
      .pixels(values), .found(score)
  );
  always_comb
    for (int r = 0; r < HEIGHT; r++) begin
      key = {DIGITS{column_digit}};
      for (int d = 0; d < ROW_DIGITS; d++) key[2*(SCORE_DIGITS+d)+:2] = ~2'(r >> (2 * (ROW_DIGITS - 1 - d)));
      for (int d = 0; d < SCORE_DIGITS; d++) key[2*d+:2] = score[r*SCORE_BITS+2*(SCORE_DIGITS-1-d)+:2];
      next_digits[2*r+:2] = key[2*round+:2];
    end

  // --- candidates
  logic [HEIGHT-1:0] candidates;
  logic [2*HEIGHT-1:0] digits;
  always_comb for (int r = 0; r < HEIGHT; r++) dropped[r] = narrow && candidates[r] && digits[2*r+:2] < limit;

  always_ff @(posedge clk) begin
    if (begins || narrow) digits <= next_digits;
    for (int r = 0; r < HEIGHT; r++)
      if (begins) candidates[r] <= flags[r];
      else if (narrow) candidates[r] <= candidates[r] && digits[2*r+:2] == limit;
  end

  // --- their counts: sixes, then a tree of adders (a heap: node n has 2n and 2n + 1 below it)
  logic [6*SIXES-1:0] hits;
  logic [2*LEAVES*COUNT_BITS-1:0] sums;
  logic [3*COUNT_BITS-1:0] found;
  always_comb
    for (int k = 1; k <= 3; k++) begin
      hits = '0;
      for (int r = 0; r < HEIGHT; r++) hits[r] = candidates[r] && digits[2*r+:2] >= 2'(k);
      sums = '0;
      for (int i = 0; i < SIXES; i++) sums[(LEAVES+i)*COUNT_BITS+:COUNT_BITS] = COUNT_BITS'(of_six(hits[6*i+:6]));
      for (int n = LEAVES - 1; n > 0; n--)
        sums[n*COUNT_BITS+:COUNT_BITS] = sums[2*n*COUNT_BITS+:COUNT_BITS] + sums[(2*n+1)*COUNT_BITS+:COUNT_BITS];
      found[(k-1)*COUNT_BITS+:COUNT_BITS] = sums[COUNT_BITS+:COUNT_BITS];
    end
  always_ff @(posedge clk) counts <= found;
endmodule
