// SPDX-License-Identifier: AGPL-3.0-only
// keyd started in an environment that wants it to talk, to load code, or to behave otherwise.
#include "keyd/environment.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "common/base/encoding.h"
#include "common/base/sanitized.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

using keyd::Deadline;
using keyd::KeydProcess;
namespace v1 = keyd::v1;

v1::SignedRequest SignOne(const KeydProcess& target, const std::string& digest) {
  v1::SignRequestRequest request;
  request.mutable_heartbeat()->set_body_sha256(digest);
  v1::SignedRequest out;
  const grpc::Status status = target.request()->SignRequest(Deadline().get(), request, &out);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return out;
}

// gRPC can be told to print every octet that it carries.
TEST(Environment, NoLibraryCanBeMadeToTalk) {
  const keyd::ScratchDir home;
  KeydProcess target(home.path(), {"GRPC_TRACE=all,tcp,http,api,channel", "GRPC_VERBOSITY=DEBUG",
                                   "GRPC_GO_LOG_SEVERITY_LEVEL=info", "MALLOC_CHECK_=3",
                                   "GRPC_POLL_STRATEGY=none", "GLOG_v=9"});
  ASSERT_TRUE(target.ready()) << target.log();
  target.CreateKey();
  target.Enrol();
  const v1::SignedRequest out = SignOne(target, Sha256("secret body"));
  EXPECT_EQ(target.Stop(SIGTERM), 0);
  const std::string log = target.log();
  EXPECT_EQ(log.find(out.signature()), std::string::npos);
  // Lines of keyd's own log, and no others.
  size_t lines = 0;
  for (size_t at = 0; at < log.size(); ++lines) {
    EXPECT_EQ(log.compare(at, 2, "t="), 0) << log.substr(at, 200);
    at = log.find('\n', at);
    at = at == std::string::npos ? log.size() : at + 1;
  }
  EXPECT_GT(lines, 3u);
  EXPECT_LT(lines, 100u);
}

TEST(Environment, CodeThatTheLoaderWasToldToAddRefusesTheStart) {
  AUSPEX_SKIP_UNLESS(!kSanitized,
                     "a build without a sanitizer, which ends first at a library before it");
  const keyd::ScratchDir home;
  for (const char* variable : {"LD_PRELOAD=libutil.so.1", "LD_AUDIT=/nowhere/audit.so"}) {
    KeydProcess target(home.path(), {variable});
    ASSERT_FALSE(target.ready());
    EXPECT_EQ(target.WaitForExit(), 2);
    EXPECT_NE(target.log().find(std::string(variable).substr(0, std::string(variable).find('='))),
              std::string::npos)
        << target.log();
  }
}

TEST(Environment, OnlyPlacesAndTheServiceManagerAreKept) {
  for (const char* name :
       {"HOME", "AUSPEX_HOME", "XDG_STATE_HOME", "NOTIFY_SOCKET", "LISTEN_FDS",
        "CREDENTIALS_DIRECTORY", "AUSPEX_KEYD_PASSPHRASE_FILE", "AUSPEXAI_WORKER_STATE_DIR"}) {
    EXPECT_TRUE(keyd::IsKept(name)) << name;
  }
  for (const char* name : {"GRPC_TRACE", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "PATH", "IFS",
                           "GLIBC_TUNABLES", "AUSPEX", "home", "", "HOMEX"}) {
    EXPECT_FALSE(keyd::IsKept(name)) << name;
  }
}

}  // namespace
}  // namespace auspex::redteam
