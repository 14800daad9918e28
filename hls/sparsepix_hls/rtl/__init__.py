"""The RTL backend: layers traced through da4ml, stages and input reduction in SystemVerilog."""
