"""Names that mean something else in a project, so that none of a model may become one.

The lists of macros, types and headers are what g++ 12 with glibc says of every name in the headers of the C and C++
standard libraries, POSIX and the ap_types; ``tests/frontend/test_identifiers.py`` asks the compiler at hand again.
"""

CPP_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false final float for friend goto if import inline int long
module mutable namespace new noexcept not not_eq nullptr operator or or_eq override private protected public register
reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this
thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
xor_eq
"""
# Of SystemVerilog (IEEE 1800-2017, annex B), where the top module has the name of the model.
VERILOG_KEYWORDS = """
accept_on alias always always_comb always_ff always_latch assert assign assume automatic before begin bind bins binsof
bit buf bufif0 bufif1 byte casex casez cell chandle checker clocking cmos config constraint context cover covergroup
coverpoint cross deassign defparam design disable dist edge end endcase endchecker endclass endclocking endconfig
endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence
endspecify endtable endtask event eventually expect extends final first_match force foreach forever fork forkjoin
function generate genvar global highz0 highz1 iff ifnone ignore_bins illegal_bins implements implies import incdir
include initial inout inside instance integer interconnect interface intersect join join_any join_none large let liblist
library local localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos
nor noshowcancelled notif0 notif1 null output package packed parameter pmos posedge primitive priority program property
pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real
realtime ref reg reject_on release repeat restrict rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime
s_until s_until_with scalared sequence shortint shortreal showcancelled small soft solve specify specparam string strong
strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task throughout time
timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type unique unique0 until until_with
untyped use uwire var vectored wait_order wand weak weak0 weak1 wildcard wire with within wor xnor
"""
# Macros of the C library that are not in capitals; those in capitals are avoided by rule.
MACROS = """
alloca ap_bigint ap_biguint assert assert_perror be16toh be32toh be64toh bswap_16 bswap_32 bswap_64 complex d_fileno
errno h_addr h_addr_list h_errno htobe16 htobe32 htobe64 htole16 htole32 htole64 i386 imaginary isascii issubnormal
le16toh le32toh le64toh linux major makedev math_errhandling minor noreturn offsetof pthread_cleanup_pop
pthread_cleanup_pop_restore_np pthread_cleanup_push pthread_cleanup_push_defer_np s6_addr s6_addr16 s6_addr32
sa_handler sa_sigaction sched_priority setjmp si_addr si_addr_lsb si_arch si_band si_call_addr si_fd si_int si_lower
si_overrun si_pid si_pkey si_ptr si_status si_stime si_syscall si_timerid si_uid si_upper si_utime si_value
sigev_notify_attributes sigev_notify_function sigev_thread_id sigmask sigsetjmp st_atime st_ctime st_mtime stderr
stdin stdout strdupa strndupa timeradd timerclear timercmp timerisset timersub toascii unix va_arg va_copy va_end
va_start
"""
# A tensor x gets the type x_t: these are types of the C library already.
TYPE_STEMS = """
Lmid active_reg blkcnt blkcnt64 blksize caddr cc char16 char32 char8 clock clockid comparison_fn cookie_close_function
cookie_io_functions cookie_read_function cookie_seek_function cookie_write_function cpu_set daddr dev div double error
femode fenv fexcept float fpos fpos64 fpregset fsblkcnt fsblkcnt64 fsfilcnt fsfilcnt64 fsid gid glob glob64 greg
gregset id idtype imaxdiv in_addr in_port ino ino64 int16 int32 int64 int8 int_fast16 int_fast32 int_fast64 int_fast8
int_least16 int_least32 int_least64 int_least8 intmax intptr key ldiv lldiv locale loff max_align mbstate mcontext
mode nfds nlink nullptr off off64 pid pthread pthread_attr pthread_barrier pthread_barrierattr pthread_cond
pthread_condattr pthread_key pthread_mutex pthread_mutexattr pthread_once pthread_rwlock pthread_rwlockattr
pthread_spinlock ptrdiff quad re_dfa reg_errcode reg_syntax regex register regmatch regoff rlim rlim64 s_reg sa_family
sem sig sig_atomic sigevent sighandler siginfo sigset sigval size socklen speed ssize stack suseconds tcflag time
timer u_int16 u_int32 u_int64 u_int8 u_quad ucontext uid uint16 uint32 uint64 uint8 uint_fast16 uint_fast32
uint_fast64 uint_fast8 uint_least16 uint_least32 uint_least64 uint_least8 uintmax uintptr useconds wchar wctrans
wctype wint
"""
# Functions and namespaces that a top function or an array of the name would hide or overload.
LIBRARY = """
BUFSIZ EOF EXIT_FAILURE EXIT_SUCCESS INFINITY NAN NULL RAND_MAX abort abs accept ap_fixed ap_int ap_ufixed ap_uint
assert atof atoi bind calloc ceil clock close connect cos defines div errno exit exp firmware floor free gamma i386
index j0 j1 jn kill ldiv link linux listen log main major makedev malloc max memcpy memset min minor open parameters
pipe pow printf puts raise rand random read recv remove rename rindex rint round scanf select send signal sin sleep
sort sparsepix sqrt std stderr stdin stdout strlen swap system tan testbench time top unix unlink wait weights write
y0 y1 yn
"""
# What the generated sources use themselves: locals and kernels of C++, and ports of RTL stages, without their prefix.
OWN = """
Line Place across active beat beats begin_event blocks codes column coords earlier end_event ends features fold gather
group half hls i image_1 image_2 in in_pixel line line_1 line_2 list list_coords list_features luts merged more next
number out over own pixel pixels place places ports progress ready round row scan slot step turn turned upper valid
whole window wipe word
"""
# Types and variables of the library at global scope, our Verilog modules and the beginnings of their names, and what
# testbenches and folders of a project are called: taken for a top function only.
TOPS = """
Dl_info Dl_serinfo Dl_serpath activity adder af_bit_ref af_range_ref ap_bit_ref ap_concat_ref ap_fixed ap_fixed_base
ap_int ap_int_base ap_private ap_private_enable_if ap_private_ops ap_range_ref ap_slong ap_ufixed ap_uint ap_ulong at
at_least at_least_two bit bit_index dais data data_types daylight directory endorder environ event events fd_mask
fd_set firmware get getdate_err handed handed_on hls image image_beats image_column image_held in6addr_any
in6addr_loopback input input_values inputs isalnum_l isalpha_l isascii_l isblank_l iscntrl_l isdigit_l isgraph_l
islower_l isprint_l ispunct_l isspace_l isupper_l isxdigit_l jmp_buf largest largest_column largest_control leaf line
loop loop_control name optarg opterr optind optopt output output_values outputs parameters pipeline pipeline_control
pixel pixel_read postorder preorder product program_invocation_name program_invocation_short_name put raw reduce
reduce_scan reduce_stream report retval run sigjmp_buf signgam sim ssdm_int_sim testbench timezone
toascii_l tzname u_char u_int u_long u_short uint ulong ushort va_list valtype weights words
"""
# A file firmware/<top>.h with one of these names would be included instead of the header.
HEADERS = """
alloca ap_axi_sdata ap_common ap_decl ap_fixed ap_fixed_base ap_fixed_ref ap_fixed_special ap_int ap_int_base
ap_int_ref ap_int_special ap_private ap_shift_reg ap_utils assert byteswap complex ctype dirent dlfcn endian errno
fcntl features fenv float glob grp hls_burst_maxi hls_directio hls_math hls_print hls_stream hls_streamofblocks
hls_task hls_vector inttypes iso646 libintl limits locale malloc math netdb poll pthread pwd regex sched search
semaphore setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings
syslimits termios tgmath threads time uchar unistd wchar wctype
"""
# Devices of Windows, where no file may be called so.
DEVICES = "aux con nul prn " + " ".join(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))
