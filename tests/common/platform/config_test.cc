// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  Environment Env() {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(std::string(name));
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
  }
  Layout LayoutHere() { return Layout::Resolve({.home = folder_.path()}, Env()).value(); }
  absl::StatusOr<Config> Load(const std::string& text) {
    std::ofstream(folder_ / "worker.toml") << text;
    return LoadConfig(LayoutHere(), Env());
  }
  std::string FailureOf(const std::string& text) {
    return std::string(Load(text).status().message());
  }
  std::string FileText() { return ReadFile(folder_ / "worker.toml", 1 << 20).value(); }

  testing::TempDir folder_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ConfigTest, DefaultsAreTheExistingWorkers) {
  const Config config = LoadConfig(LayoutHere(), Env()).value();
  EXPECT_EQ(config.coordinator_url, "https://coord.auspexai.network");
  EXPECT_EQ(config.heartbeat_interval_seconds, 60);
  EXPECT_EQ(config.assignment_poll_interval_seconds, 30);
  EXPECT_EQ(config.execution_policy, ExecutionPolicy::kSynthetic);
  EXPECT_EQ(config.memory_max_mb, 4096);
  EXPECT_EQ(config.pids_max, 512);
  EXPECT_TRUE(config.auto_fetch);
  EXPECT_EQ(config.provisioning_dir, folder_.path() + "/data/tenants");
}

TEST_F(ConfigTest, TenantsHavePoliciesAndKeysOfTheirOwn) {
  const Config config = Load(R"(
[executor.tenants]
acme = "off"
lab-2 = "provisioned"
[provisioning.tenant_keys]
acme = "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
)")
                            .value();
  EXPECT_EQ(config.tenant_policies.at("acme"), ExecutionPolicy::kOff);
  EXPECT_EQ(config.tenant_policies.at("lab-2"), ExecutionPolicy::kProvisioned);
  EXPECT_EQ(config.tenant_keys.at("acme"),
            "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
  EXPECT_THAT(FailureOf("[executor.tenants]\nacme = \"maybe\""),
              HasSubstr("executor.tenants: acme: 'maybe' is none of"));
  EXPECT_THAT(FailureOf("[executor.tenants]\n\"a/b\" = \"off\""),
              HasSubstr("'a/b' is no tenant id"));
  EXPECT_THAT(FailureOf("[provisioning.tenant_keys]\nacme = \"12\""),
              HasSubstr("acme: public key"));
}

TEST_F(ConfigTest, DeviceNodesArePlainPathsBelowDev) {
  EXPECT_EQ(Load("[gpu]\ndevices = [\"/dev/nvidia0\", \"/dev/dri/renderD128\"]")
                .value()
                .gpu_devices.size(),
            2u);
  for (const char* path :
       {"/dev/", "/etc/passwd", "/dev/../etc", "/dev//x", "/dev/x/", "nvidia0"}) {
    EXPECT_THAT(FailureOf(std::string("[gpu]\ndevices = [\"") + path + "\"]"),
                HasSubstr("nodes below /dev"))
        << path;
  }
}

TEST_F(ConfigTest, AnAcceleratorsVersionIsThreeNumbersAsItsLibrariesReadThem) {
  const auto gpu = [](std::string_view version) {
    return Cat("[gpu]\nhsa_override_gfx_version = \"", version, "\"");
  };
  EXPECT_EQ(Load(gpu("10.3.0")).value().gpu_hsa_override, "10.3.0");
  EXPECT_TRUE(Load(gpu("63.255.255")).ok());
  EXPECT_FALSE(Load("").value().gpu_hsa_override);
  for (const char* version : {"", "10", "10.3", "10.3.", "10.3.0.", "10.3.0.1", "64.0.0", "9.256.0",
                              "9.0.256", "-1.0.0", "+1.0.0", " 9.0.0", "9.0.0 ", "9..0", "9.0.a"}) {
    EXPECT_THAT(FailureOf(gpu(version)), HasSubstr("gpu.hsa_override_gfx_version: '")) << version;
  }
}

TEST_F(ConfigTest, ReadsTheExistingWorkersFile) {
  const absl::StatusOr<Config> config = Load(R"(
[coordinator]
url = "http://127.0.0.1:8080/"
heartbeat_interval_seconds = 5
assignment_poll_interval_seconds = 0
[executor]
mode = "provisioned"
[capabilities.gpus]
nvidia = 2
nvidia_model = "X"
[dashboard]
enabled = false
port = 7799
[inference]
backend = "none"
[telemetry]
anything = [1, 2]
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->coordinator_url, "http://127.0.0.1:8080");
  EXPECT_EQ(config->assignment_poll_interval_seconds, 0);
  EXPECT_EQ(config->execution_policy, ExecutionPolicy::kProvisioned);
  EXPECT_EQ(config->gpus_nvidia, 2);
}

TEST_F(ConfigTest, UnknownKeyNamesItsLine) {
  EXPECT_THAT(FailureOf("[sandbox]\npolicy = \"strict\"\nmemory_mb = 3\n"),
              HasSubstr("worker.toml:3: sandbox.memory_mb: is not a known key"));
  EXPECT_THAT(FailureOf("[sandbx]\npolicy = \"strict\"\n"), HasSubstr("worker.toml:1: sandbx"));
  EXPECT_THAT(FailureOf("[sandbox\n"), HasSubstr("worker.toml:1:"));
}

TEST_F(ConfigTest, WrongTypesAndRangesAreErrors) {
  EXPECT_THAT(FailureOf("[sandbox]\nuse_bubblewrap = \"false\"\n"),
              HasSubstr("is not true or false"));
  EXPECT_THAT(FailureOf("[coordinator]\nheartbeat_interval_seconds = -1\n"),
              HasSubstr("is not in 0..86400"));
  EXPECT_THAT(FailureOf("[executor]\nexecute_tenant_code = \"yes\"\n"),
              HasSubstr("synthetic, provisioned, off"));
  EXPECT_THAT(FailureOf("[resources]\nslots = 65\n"), HasSubstr("is not in 1..64"));
  EXPECT_THAT(FailureOf("[health]\nwarn_c = 90\n"), HasSubstr("resume_c < warn_c <= crit_c"));
  EXPECT_THAT(FailureOf("[executor]\nmode = \"off\"\nexecute_tenant_code = \"synthetic\"\n"),
              HasSubstr("contradicts"));
  EXPECT_THAT(FailureOf("[coordinator]\nreceipt_signer_pubkey = \"ab\"\n"),
              HasSubstr("64 hex digits"));
}

TEST_F(ConfigTest, EnvironmentWinsAndIsChecked) {
  variables_["AUSPEXAI_COORDINATOR_URL"] = "http://127.0.0.1:9/x/";
  variables_["AUSPEXAI_WORKER_EXECUTE_TENANT_CODE"] = "off";
  variables_["AUSPEXAI_WORKER_AUTO_FETCH"] = "false";
  const Config config = Load("[executor]\nexecute_tenant_code = \"provisioned\"\n").value();
  EXPECT_EQ(config.coordinator_url, "http://127.0.0.1:9/x");
  EXPECT_EQ(config.execution_policy, ExecutionPolicy::kOff);
  EXPECT_FALSE(config.auto_fetch);
  variables_["AUSPEXAI_WORKER_AUTO_FETCH"] = "maybe";
  EXPECT_THAT(FailureOf(""), HasSubstr("AUSPEXAI_WORKER_AUTO_FETCH: 'maybe'"));
}

TEST_F(ConfigTest, ALinkIntoACollectionOfDotfilesIsFollowed) {
  std::ofstream(folder_ / "elsewhere.toml") << "[resources]\nslots = 5\n";
  ASSERT_EQ(::symlink("elsewhere.toml", (folder_ / "worker.toml").c_str()), 0);
  EXPECT_EQ(LoadConfig(LayoutHere(), Env())->slots, 5);
  ASSERT_TRUE(SetConfigValue(LayoutHere(), "resources.slots", "6").ok());
  EXPECT_EQ(ReadFile(folder_ / "elsewhere.toml", 100).value(), "[resources]\nslots = 6\n");
  EXPECT_FALSE(ReadFile(folder_ / "worker.toml", 100).ok()) << "the link was replaced by a file";
}

TEST_F(ConfigTest, AnExplicitFileMustExist) {
  const Layout layout =
      Layout::Resolve({.home = folder_.path(), .config = folder_ / "none.toml"}, Env()).value();
  EXPECT_EQ(LoadConfig(layout, Env()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ConfigTest, SetterKeepsCommentsAndOrder) {
  ASSERT_TRUE(Load("# mine\n[executor] # consent\nexecute_tenant_code = "
                   "\"synthetic\"\n[sandbox]\npids_max = 9\n")
                  .ok());
  ASSERT_TRUE(SetConfigValue(LayoutHere(), "executor.execute_tenant_code", "\"off\"").ok());
  ASSERT_TRUE(SetConfigValue(LayoutHere(), "sandbox.memory_max_mb", "64").ok());
  ASSERT_TRUE(SetConfigValue(LayoutHere(), "resources.slots", "3").ok());
  EXPECT_EQ(
      FileText(),
      "# mine\n[executor] # consent\nexecute_tenant_code = \"off\"\n[sandbox]\nmemory_max_mb = 64\n"
      "pids_max = 9\n\n[resources]\nslots = 3\n");
  EXPECT_EQ(LoadConfig(LayoutHere(), Env())->slots, 3);
}

TEST_F(ConfigTest, SetterNeverBreaksAFileThatLoads) {
  const std::string dotted = "executor.execute_tenant_code = \"synthetic\"\n";
  ASSERT_TRUE(Load(dotted).ok());
  EXPECT_FALSE(SetConfigValue(LayoutHere(), "executor.execute_tenant_code", "\"off\"").ok());
  EXPECT_FALSE(SetConfigValue(LayoutHere(), "sandbox.pids_max", "\"many\"").ok());
  EXPECT_EQ(FileText(), dotted);
}

}  // namespace
}  // namespace auspex
