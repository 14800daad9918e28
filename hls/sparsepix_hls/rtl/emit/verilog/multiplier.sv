// The product of two numbers, by a DSP slice.
module multiplier #(
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
  wire signed [A_BITS:0] first = {A_SIGNED && a[A_BITS-1], a};
  wire signed [B_BITS:0] second = {B_SIGNED && b[B_BITS-1], b};
  (* use_dsp = "yes" *) wire signed [A_BITS+B_BITS+1:0] product;
  assign product = (A_BITS + B_BITS + 2)'(first) * (A_BITS + B_BITS + 2)'(second);
  assign value = BITS'(product);
  wire unused = &{1'b0, product};  // its high bits repeat the sign
endmodule
