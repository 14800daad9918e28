// What is left of a number that is divided by a constant, as a table.
module remainder #(
    parameter int VALUES = 1,  // the number is below it
    parameter int BITS = 1,  // of the number
    parameter int BY = 1,
    parameter int REMAINDER_BITS = 1
) (
    input  logic [BITS-1:0] value,
    output logic [REMAINDER_BITS-1:0] rest
);
  always_comb begin
    rest = '0;
    for (int i = 0; i < VALUES; i++) rest |= REMAINDER_BITS'(i % BY) & {REMAINDER_BITS{value == BITS'(i)}};
  end
endmodule
