// SPDX-License-Identifier: AGPL-3.0-only
// What each daemon is linked with, twice over: in the build's link line (which of our libraries
// went in) and in the finished program (which shared libraries the loader brings in, indirect ones
// included).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/architecture/tree.h"

namespace auspex::architecture {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

struct Rule {
  std::string program;
  std::string why;
  std::vector<std::string> forbidden;  // beginnings of names of archives and shared libraries
};

// Cryptography for transport, HTTP of either side, name resolution for the internet.
const std::vector<std::string> kTls = {"libssl",     "libcrypto",  "libgnutls",
                                       "libmbedtls", "libgrpc++.", "libgrpc."};
const std::vector<std::string> kHttp = {"libcurl", "libnghttp2", "libauspex_http", "libauspex_netd",
                                        "libauspex_coordd"};
const std::vector<std::string> kStore = {"libsqlite3", "libauspex_stated"};
const std::vector<std::string> kLaunch = {"libauspex_runnerd"};
const std::vector<std::string> kArchive = {"libarchive"};
// What the desktop's keyring is spoken to with: keyd's helper alone has it.
const std::vector<std::string> kDesktop = {"libsecret", "libglib", "libgio", "libgobject",
                                           "libdbus"};

std::vector<Rule> Rules() {
  return {
      {"auspex-keyd", "keyd carries no TLS", kTls},
      {"auspex-keyd", "keyd speaks no HTTP", kHttp},
      {"auspex-keyd", "keyd keeps no database", kStore},
      {"auspex-keyd", "keyd launches nothing", kLaunch},
      {"auspex-keyd", "keyd reads no archives", kArchive},
      {"auspex-keyd", "keyd has nothing of the desktop", kDesktop},
      {"auspex-stated", "stated has nothing of the desktop", kDesktop},
      {"auspex-netd", "netd has nothing of the desktop", kDesktop},
      {"auspex-runnerd", "runnerd has nothing of the desktop", kDesktop},
      {"auspex-keyd-secrets",
       "the helper signs nothing and serves nothing",
       {"libauspex_", "libgrpc"}},
      {"auspex-keyd-secrets", "the helper carries no TLS", kTls},
      {"auspex-stated", "stated carries no TLS", kTls},
      {"auspex-stated", "stated speaks no HTTP", kHttp},
      {"auspex-stated", "stated launches nothing", kLaunch},
      {"auspex-stated", "stated reads no archives", kArchive},
      {"auspex-stated", "stated signs nothing", {"libauspex_keyd"}},
      {"auspex-netd", "netd keeps no database", kStore},
      {"auspex-netd", "netd launches nothing", kLaunch},
      {"auspex-netd", "netd reads no archives", kArchive},
      {"auspex-netd", "netd holds no key", {"libauspex_keyd"}},
      {"auspex-runnerd", "runnerd carries no TLS", kTls},
      {"auspex-runnerd", "runnerd speaks no HTTP", kHttp},
      {"auspex-runnerd", "runnerd keeps no database", kStore},
      {"auspex-runnerd", "runnerd holds no key", {"libauspex_keyd"}},
  };
}

TEST(LinkGraph, NoDaemonIsBuiltWithAnothersMeans) {
  for (const Rule& rule : Rules()) {
    SCOPED_TRACE(rule.why);
    const std::set<std::string> inputs = LinkInputs(rule.program);
    ASSERT_THAT(inputs, Not(IsEmpty())) << rule.program << " is no target of this build";
    EXPECT_THAT(BeginningWith(inputs, rule.forbidden), IsEmpty());
  }
}

TEST(LinkGraph, NoDaemonLoadsAnothersMeans) {
  for (const Rule& rule : Rules()) {
    SCOPED_TRACE(rule.why);
    const std::set<std::string> loaded = NeededInAll(rule.program);
    ASSERT_THAT(BeginningWith(loaded, {"libc.so"}), Not(IsEmpty())) << "ldd told nothing";
    EXPECT_THAT(BeginningWith(loaded, rule.forbidden), IsEmpty());
    EXPECT_THAT(BeginningWith(Needed(rule.program), rule.forbidden), IsEmpty());
  }
}

// The looks above would pass on an empty list: each means must be found where it does belong.
TEST(LinkGraph, EachMeansIsWhereItBelongs) {
  EXPECT_THAT(BeginningWith(LinkInputs("auspex-netd"), {"libcurl"}), Not(IsEmpty()));
  EXPECT_THAT(BeginningWith(NeededInAll("auspex-netd"), {"libssl"}), Not(IsEmpty()));
  EXPECT_THAT(BeginningWith(LinkInputs("auspex-stated"), {"libsqlite3"}), Not(IsEmpty()));
  EXPECT_THAT(BeginningWith(LinkInputs("auspex-runnerd"), {"libauspex_runnerd"}), Not(IsEmpty()));
  EXPECT_THAT(BeginningWith(LinkInputs("auspex-keyd"), {"libauspex_keyd"}), Not(IsEmpty()));
  EXPECT_THAT(Needed("auspex-keyd"), Contains("libsodium.so.23"));
  for (const char* library : {"libsecret", "libglib", "libgio"}) {
    EXPECT_THAT(BeginningWith(NeededInAll("auspex-keyd-secrets"), {library}), Not(IsEmpty()));
  }
}

// gRPC comes as an archive without TLS: no daemon loads the shared one with its 50 companions.
TEST(LinkGraph, FewSharedLibraries) {
  for (const char* program : {"auspex-keyd", "auspex-stated", "auspex-netd", "auspex-runnerd"}) {
    SCOPED_TRACE(program);
    EXPECT_THAT(BeginningWith(Needed(program), {"libgrpc", "libprotobuf", "libabsl"}), IsEmpty());
  }
}

// A contract is linked only by those who speak it.
TEST(LinkGraph, ContractsOnlyWhereTheyAreSpoken) {
  const auto contracts = [](const std::string& program) {
    return BeginningWith(LinkInputs(program), {"libauspex_proto_"});
  };
  using Set = std::set<std::string>;
  EXPECT_EQ(contracts("auspex-keyd"), (Set{"libauspex_proto_keyd.a"}));
  EXPECT_EQ(contracts("auspex-stated"), (Set{"libauspex_proto_stated.a"}));
  EXPECT_EQ(contracts("auspex-netd"),
            (Set{"libauspex_proto_keyd.a", "libauspex_proto_netd.a", "libauspex_proto_stated.a"}));
  EXPECT_EQ(contracts("auspex-runnerd"), (Set{"libauspex_proto_keyd.a", "libauspex_proto_runnerd.a",
                                              "libauspex_proto_stated.a"}));
}

}  // namespace
}  // namespace auspex::architecture
