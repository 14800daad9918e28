# Vitis HLS project of @top@ (2023.1 or later).
#
#   vitis_hls -f build.tcl                                    C simulation and C synthesis
#   SPARSEPIX_STEPS="csynth cosim export" vitis_hls -f build.tcl
#   vitis-run --mode hls --tcl build.tcl                      the same with Vitis 2024.2 or later
#
# Steps: csim csynth cosim export. The last two need csynth, which they bring along. Steps may also be given as
# arguments where the tool passes them on to the script.

set top @top@
set part @part@
set clock_ns @clock_ns@
set root [file dirname [file normalize [info script]]]

set known {csim csynth cosim export}
set steps {csim csynth}
if {[info exists ::env(SPARSEPIX_STEPS)]} {
    set steps [split [string trim $::env(SPARSEPIX_STEPS)]]
    foreach step $steps {
        if {$step ni $known} {
            puts stderr "build.tcl: unknown step '$step' in SPARSEPIX_STEPS, expected some of: $known"
            exit 2
        }
    }
} elseif {[info exists ::argv]} {
    set given {}
    foreach argument $::argv {
        if {$argument in $known} {
            lappend given $argument
        }
    }
    if {[llength $given] > 0} {
        set steps $given
    }
}
if {("cosim" in $steps || "export" in $steps) && "csynth" ni $steps} {
    lappend steps csynth
}

cd $root
# Vitis brings its own ap_fixed and ap_int headers: the folder ap_types/ is for g++ alone.
set cflags "-std=@standard@ -I$root/firmware -Wno-unused-label"
open_project -reset vitis
set_top $top
add_files $root/firmware/$top.cpp -cflags $cflags
add_files -tb $root/tb/${top}_tb.cpp -cflags $cflags
open_solution -reset -flow_target vivado solution
set_part $part
create_clock -period $clock_ns -name default

if {"csim" in $steps} {
    csim_design -argv $root/tb/data
}
if {"csynth" in $steps} {
    csynth_design
}
if {"cosim" in $steps} {
    cosim_design -argv $root/tb/data
}
if {"export" in $steps} {
    export_design -format ip_catalog
}
exit
