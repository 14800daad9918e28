// A register between two steps, or none, as the clock asks for it.
module register_or_wire #(
    parameter int BITS = 1,
    parameter int FLAGS = 1,  // the lowest one is set where there is something: a reset clears it
    parameter bit IS_REGISTER = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic [BITS-1:0] in,
    input  logic [FLAGS-1:0] in_flags,
    output logic [BITS-1:0] out,
    output logic [FLAGS-1:0] out_flags
);
  generate
    if (IS_REGISTER) begin : gen_register
      always_ff @(posedge clk) begin
        out <= in;
        out_flags <= in_flags;
        if (!rst_n) out_flags[0] <= 1'b0;
      end
    end else begin : gen_wire
      assign out = in;
      assign out_flags = in_flags;
      wire unused = &{1'b0, clk, rst_n};
    end
  endgenerate
endmodule
