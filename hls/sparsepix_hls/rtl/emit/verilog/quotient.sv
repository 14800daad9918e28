// A number divided by a constant, as a table.
module quotient #(
    parameter int VALUES = 1,  // the number is below it
    parameter int BITS = 1,  // of the number
    parameter int BY = 1,
    parameter int QUOTIENT_BITS = 1
) (
    input  logic [BITS-1:0] value,
    output logic [QUOTIENT_BITS-1:0] whole
);
  always_comb begin
    whole = '0;
    for (int i = 0; i < VALUES; i++) whole |= QUOTIENT_BITS'(i / BY) & {QUOTIENT_BITS{value == BITS'(i)}};
  end
endmodule
