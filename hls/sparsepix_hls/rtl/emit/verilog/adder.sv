// The sum of two numbers on one carry chain. A module of its own, since synthesis would merge the adders of a long sum
// into a tree of full adders, which is larger and deeper.
module adder #(
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
  assign value = (A_SIGNED ? BITS'($signed(a)) : BITS'(a)) + (B_SIGNED ? BITS'($signed(b)) : BITS'(b));
endmodule
