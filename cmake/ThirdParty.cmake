# SPDX-License-Identifier: AGPL-3.0-only
# Every foreign library has one imported target here, so that a reader can see who links what.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(GTest REQUIRED)

pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
# Only auspex-keyd-secrets links it.
pkg_check_modules(LIBSECRET REQUIRED IMPORTED_TARGET libsecret-1)

# Dropping duplicates from PkgConfig's static list keeps link lines readable; the group resolves
# the cycles among gRPC's archives.
file(GLOB AUSPEX_ABSL_ARCHIVES /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libabsl_*.a)
add_library(auspex_grpc INTERFACE)
# Static and without TLS: one shared library in place of 58, and no cipher in a process that has no network.
target_link_libraries(auspex_grpc INTERFACE
  -Wl,--start-group
  libgrpc++_unsecure.a libgrpc_unsecure.a libgpr.a libaddress_sorting.a libupb.a libre2.a libcares.a
  libprotobuf.a libz.a ${AUSPEX_ABSL_ARCHIVES}
  -Wl,--end-group Threads::Threads ${CMAKE_DL_LIBS})

find_program(AUSPEX_PROTOC protoc REQUIRED)
find_program(AUSPEX_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
