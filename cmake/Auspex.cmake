# SPDX-License-Identifier: AGPL-3.0-only
# The project's own target functions. One library a folder; PUBLIC dependencies are those that its
# headers name. The graph of these targets is the architecture (checked by tests/architecture).

# auspex_library(name SRCS ... [DEPS ...] [PRIVATE_DEPS ...])
function(auspex_library name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  if(A_SRCS)
    add_library(${name} STATIC ${A_SRCS})
    target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${A_DEPS})
  endif()
endfunction()

# All that `auspex lab` needs to run, and no tests.
add_custom_target(auspex_programs)

# auspex_program(name SRCS ... DEPS ...): goes to bin/ and is installed to PATH's bin.
function(auspex_program name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE ${A_DEPS})
  add_dependencies(auspex_programs ${name})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# All tests of keyd's promises but those that need the whole worker: label "keyd", for ./dev asan keyd and ./dev tsan keyd.
add_custom_target(auspex_keyd_tests)

# auspex_test(name SRCS ... DEPS ... [PROGRAMS targets that the test starts] [TIMEOUT seconds] [LABELS ...] [SERIAL])
# One ctest entry per binary. The test finds programs in AUSPEX_BIN_DIR and the source tree in AUSPEX_SOURCE_DIR.
function(auspex_test name)
  cmake_parse_arguments(A "SERIAL" "TIMEOUT" "SRCS;DEPS;PROGRAMS;LABELS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  # GCC 12 sees an overlap in `"literal" + std::string(...)` that is not there (its bug 105651).
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(A_PROGRAMS)
    add_dependencies(${name} ${A_PROGRAMS})
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(AUSPEX_SANITIZE)
    math(EXPR A_TIMEOUT "${A_TIMEOUT} * 5")  # each access to memory is checked
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${A_TIMEOUT}
    ENVIRONMENT "AUSPEX_BIN_DIR=${CMAKE_BINARY_DIR}/bin;AUSPEX_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
  if("keyd" IN_LIST A_LABELS)
    add_dependencies(auspex_keyd_tests ${name})
  endif()
  if(A_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}")
  endif()
  if(A_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# auspex_proto(name file.proto [DEPS other proto targets]): messages and services of one contract.
function(auspex_proto name file)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  string(REGEX REPLACE "\\.proto$" "" stem ${file})
  set(out ${CMAKE_BINARY_DIR}/gen)
  set(gen ${out}/${stem}.pb.cc ${out}/${stem}.pb.h ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${gen}
    COMMAND ${AUSPEX_PROTOC} -I ${CMAKE_SOURCE_DIR}/proto --cpp_out=${out} --grpc_out=${out}
            --plugin=protoc-gen-grpc=${AUSPEX_GRPC_PLUGIN} ${stem}.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/proto/${file}
    VERBATIM)
  add_library(${name} STATIC ${gen})
  # Generated code is not held to our warnings.
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC auspex_grpc ${A_DEPS})
endfunction()
