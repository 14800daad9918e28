// The largest MAX_PIXELS of the active pixels of an image, found digit by digit of their keys (see largest_column).
//
// If enough candidates have a digit of at least 3 (or else 2, 1), one of these is the last that is kept: the limit. Those
// above the limit are kept, those below dropped, those at it stay candidates for the digits to come. A digit takes four
// clocks: counts of columns, of quarters of the image, of the image and with them the limit, and what follows from it.
module largest_control #(
    parameter int COLUMNS = 1,
    parameter int PIXELS = 1,  // of an image
    parameter int MAX_PIXELS = 1,
    parameter int ROUNDS = 1,  // digits of a key
    parameter int ROUND_BITS = 1,
    parameter int PART_BITS = 1  // of the counts of a column
) (
    input  logic clk,
    input  logic rst_n,
    input  logic begins,  // a new image is held
    input  logic [COLUMNS*3*PART_BITS-1:0] parts,  // of each column: candidates with a digit of at least 1, 2, 3
    output logic narrow,
    output logic [1:0] limit,
    output logic [ROUND_BITS-1:0] round,  // the digit that is read next
    output logic done  // in the last clock of the last round
);
  localparam int COUNT_BITS = $clog2(PIXELS + 1);
  localparam int LEVELS = COLUMNS > 4 ? $clog2(COLUMNS) : 2;
  localparam int LEAVES = 1 << LEVELS;

  logic busy;
  logic [1:0] step;
  logic at_end;
  assign narrow = busy && step == 2'd3;
  assign done   = narrow && at_end;

  always_ff @(posedge clk)
    if (!rst_n) begin
      busy  <= 1'b0;
      step  <= '0;
      round <= '0;
    end else if (begins) begin
      busy  <= 1'b1;
      step  <= '0;
      round <= ROUND_BITS'(1);
    end else if (busy) begin
      step <= step + 2'd1;
      if (narrow) round <= round + 1'b1;
      if (done) begin
        busy  <= 1'b0;
        round <= '0;
      end
    end
  // 'round' runs one ahead; a key of one digit is at its end at once.
  always_ff @(posedge clk) if (begins) at_end <= ROUNDS == 1; else if (narrow) at_end <= round == ROUND_BITS'(ROUNDS - 1);

  // --- counts of quarters of the image (a heap of adders: node n has 2n and 2n + 1 below it)
  logic [2*LEAVES*COUNT_BITS-1:0] sums;
  logic [12*COUNT_BITS-1:0] found, quarters;
  always_comb
    for (int k = 0; k < 3; k++) begin
      sums = '0;
      for (int x = 0; x < COLUMNS; x++)
        sums[(LEAVES+x)*COUNT_BITS+:COUNT_BITS] = COUNT_BITS'(parts[(3*x+k)*PART_BITS+:PART_BITS]);
      for (int n = LEAVES - 1; n >= 4; n--)
        sums[n*COUNT_BITS+:COUNT_BITS] = sums[2*n*COUNT_BITS+:COUNT_BITS] + sums[(2*n+1)*COUNT_BITS+:COUNT_BITS];
      found[4*k*COUNT_BITS+:4*COUNT_BITS] = sums[4*COUNT_BITS+:4*COUNT_BITS];
    end
  always_ff @(posedge clk) quarters <= found;

  // --- the limit, and how many of the candidates at it are still to be kept
  logic [COUNT_BITS-1:0] left;
  logic [3*(COUNT_BITS+1)-1:0] beyond;  // left - count: what is left if all of these are kept
  logic [2:0] enough;
  logic [COUNT_BITS-1:0] half, other_half, count;
  always_comb
    for (int k = 0; k < 3; k++) begin
      half = quarters[4*k*COUNT_BITS+:COUNT_BITS] + quarters[(4*k+1)*COUNT_BITS+:COUNT_BITS];
      other_half = quarters[(4*k+2)*COUNT_BITS+:COUNT_BITS] + quarters[(4*k+3)*COUNT_BITS+:COUNT_BITS];
      count = half + other_half;
      beyond[k*(COUNT_BITS+1)+:COUNT_BITS+1] = {1'b0, left} - {1'b0, count};
      enough[k] = beyond[k*(COUNT_BITS+1)+COUNT_BITS] || beyond[k*(COUNT_BITS+1)+:COUNT_BITS+1] == '0;
    end

  always_ff @(posedge clk)
    if (begins) left <= COUNT_BITS'(MAX_PIXELS);
    else if (busy && step == 2'd2) begin
      limit <= enough[2] ? 2'd3 : enough[1] ? 2'd2 : {1'b0, enough[0]};
      // Three slices and not one at a place that is computed: Yosys would multiply for that, in a DSP slice.
      if (!enough[2])
        left <= enough[1] ? beyond[2*(COUNT_BITS+1)+:COUNT_BITS] :
                enough[0] ? beyond[COUNT_BITS+1+:COUNT_BITS] : beyond[COUNT_BITS-1:0];
    end
endmodule
