// A register between two steps, or none, as the clock asks for it.
module register_or_wire #(
    parameter int BITS = 1,
    parameter int FLAGS = 1,  // the lowest one is set where there is something: a reset clears it
    parameter bit IS_REGISTER = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic [BITS-1:0] in,
    input  logic [FLAGS-1:0] marks,
    output logic [BITS-1:0] out,
    output logic [FLAGS-1:0] marks_out
);
  generate
    if (IS_REGISTER) begin : gen_register
      always_ff @(posedge clk) begin
        out <= in;
        marks_out <= marks;
        if (!rst_n) marks_out[0] <= 1'b0;
      end
    end else begin : gen_wire
      assign out = in;
      assign marks_out = marks;
      wire unused = &{1'b0, clk, rst_n};
    end
  endgenerate
endmodule
