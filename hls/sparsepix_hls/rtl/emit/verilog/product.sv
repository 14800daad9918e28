// The product of two numbers, b in digits of -2 ... 2 (Booth, radix 4): a row of one LUT a bit for each digit, added on
// carry chains, is less than half of what synthesis makes of a * b. Products of the same widths are one module, so
// synthesis may map them once.
module product #(
    parameter int A_BITS = 1,
    parameter int B_BITS = 1,
    parameter bit A_SIGNED = 0,  // in two's complement
    parameter bit B_SIGNED = 0,
    parameter int BITS = 1  // of the result, which fits
) (
    input  logic [A_BITS-1:0] a,
    input  logic [B_BITS-1:0] b,
    output logic [BITS-1:0] value
);
  localparam int SIGNED_BITS = B_BITS + (B_SIGNED ? 0 : 1);
  localparam int DIGITS = SIGNED_BITS > 2 ? SIGNED_BITS / 2 : 1;
  localparam int ROW = A_BITS + (A_SIGNED ? 1 : 2);  // bits of 2 * a and of its complement
  // Digits 0 and 1 are added one after the other. The others, in groups of three, are summed beside them: fewer levels.
  localparam int GROUPS = DIGITS > 2 ? (DIGITS + 3) / 3 : 1;

  // Bit 0 of b is no part of a digit, so that each digit is at a place of its own, where an adder takes the 1 that
  // completes its negative value: -x = ~x + 1.
  wire [2*DIGITS:0] bits = {{(2 * DIGITS + 1 - B_BITS) {B_SIGNED && b[B_BITS-1]}}, b};
  wire signed [ROW-1:0] once = {{(ROW - A_BITS) {A_SIGNED && a[A_BITS-1]}}, a};
  wire signed [ROW-1:0] first = once & {ROW{bits[0]}};
  wire signed [ROW-1:0] row[DIGITS];
  wire [DIGITS-1:0] negative;
  for (genvar k = 0; k < DIGITS; ++k) begin : g_digit
    wire [2:0] digit = {bits[2*k+2], bits[2*k+1], k > 0 && bits[2*k]};
    wire one = digit[1] ^ digit[0];
    wire two = digit == 3'b100 || digit == 3'b011;
    assign negative[k] = digit[2];
    assign row[k] = ({ROW{one}} & once | {ROW{two}} & {once[ROW-2:0], 1'b0}) ^ {ROW{digit[2]}};
  end

  for (genvar g = 0; g < GROUPS; ++g) begin : g_group
    localparam int FROM = g > 0 ? 3 * g - 1 : 0;
    localparam int COUNT = g == 0 ? (DIGITS > 1 ? 2 : 1) : DIGITS - FROM > 3 ? 3 : DIGITS - FROM;
    for (genvar i = 0; i < COUNT; ++i) begin : g_sum
      wire signed [ROW+2*i:0] sum;  // of the digits FROM ... FROM + i, whose lowest one may lack its 1
      if (i > 0) begin : g_next
        wire signed [ROW-2:0] upper = g_group[g].g_sum[i-1].sum[ROW+2*i-2:2*i];
        wire signed [ROW:0] high = (ROW + 1)'(upper) + (ROW + 1)'(row[FROM+i]) + (ROW + 1)'({1'b0, negative[FROM+i]});
        assign sum = {high, g_group[g].g_sum[i-1].sum[2*i-1:0]};
      end else if (g > 0) assign sum = (ROW + 1)'(row[FROM]);
      else assign sum = (ROW + 1)'($signed(first[ROW-1:1])) + (ROW + 1)'(row[0]) + (ROW + 1)'({1'b0, negative[0]});
    end
    localparam int WIDE = ROW + 2 * (FROM + COUNT - 1);
    wire signed [WIDE:0] total;  // of the digits up to here
    if (g > 0) begin : g_join
      localparam int WIDE_HIGH = ROW + 2 * COUNT - 1;
      wire signed [ROW-2:0] upper = g_group[g-1].total[ROW+2*FROM-2:2*FROM];
      wire signed [ROW+2*COUNT-2:0] high =
          WIDE_HIGH'(upper) + g_sum[COUNT-1].sum + WIDE_HIGH'({1'b0, negative[FROM]});
      assign total = {high, g_group[g-1].total[2*FROM-1:0]};
    end else assign total = g_sum[COUNT-1].sum;
  end
  assign value = BITS'($signed({g_group[GROUPS-1].total, first[0]}));
endmodule
