# What every target is compiled with: duck_flags. Warnings are errors; hardening follows the OpenSSF compiler guide as far as
# gcc 12 and clang 14 take it; assertions stay on in every build.
include(CheckCCompilerFlag)
add_library(duck_flags INTERFACE)

function(duck_flag flag)
  string(MAKE_C_IDENTIFIER "have${flag}" have)
  check_c_compiler_flag("-Werror ${flag}" ${have})
  if(${have})
    target_compile_options(duck_flags INTERFACE ${flag})
  endif()
endfunction()

target_compile_definitions(duck_flags INTERFACE _GNU_SOURCE)
foreach(flag
    -Wall -Wextra -Wconversion -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wimplicit-fallthrough -Wswitch-enum -Wvla -Wundef -Werror
    -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
    -Werror=format-security -Wtrampolines -Wbidi-chars=any
    -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
    -ftrivial-auto-var-init=zero -fstack-protector-strong -fstack-clash-protection
    -fcf-protection=full -fno-common)
  duck_flag(${flag})
endforeach()
if(CMAKE_C_COMPILER_ID MATCHES "Clang") # gcc judges these; clang counts enums, and assert(!"why"), as conversions
  target_compile_options(duck_flags INTERFACE -Wno-string-conversion -Wno-sign-conversion
    -Wno-format-nonliteral)
endif()
target_compile_options(duck_flags INTERFACE
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)

if(DUCK_SANITIZE)
  target_compile_options(duck_flags INTERFACE
    -fsanitize=${DUCK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # it loses sight of what it instrumented; the sanitizers look themselves
    target_compile_options(duck_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(duck_flags INTERFACE -fsanitize=${DUCK_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(duck_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(DUCK_FUZZ) # what a fuzzer steers by
  target_compile_options(duck_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_options(duck_flags INTERFACE
  -pie -Wl,-z,nodlopen,-z,noexecstack,-z,relro,-z,now,--as-needed)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
