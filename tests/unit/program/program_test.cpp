#include <llmproc/error.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/process.hpp>
#include <llmproc/program.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "core/environment.hpp"
#include "support/local_server.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

const std::string openai = "[model]\nname = \"m\"\nprovider = \"openai\"\n";

boost::asio::awaitable<void> start_and_drop(LLMProgram program) {
    const AsyncLLMProcess process = co_await program.start();
    const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    EXPECT_TRUE(process.get_executor() == executor);
}

/// What `start()` threw, awaited on a context of its own; none if it started.
template <typename Error>
std::optional<Error> error_of_start(const LLMProgram& program) {
    boost::asio::io_context context;
    std::exception_ptr failure;
    boost::asio::co_spawn(
        context,
        start_and_drop(program),
        [&failure](const std::exception_ptr& thrown) { failure = thrown; }
    );
    context.run();
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

const std::map<std::string, std::string> key_variable{{"OPENAI_API_KEY", "test-key"}};

TEST(ProgramTest, ShowsWhatTheFileSays) {
    const LLMProgram program = LLMProgram::from_toml_string(
        openai + "base_url = \"https://h/v1/\"\n[prompt]\nsystem = \"s\"\nuser = \"u\"\n"
    );
    EXPECT_EQ(program.model(), "m");
    EXPECT_EQ(program.provider(), "openai");
    EXPECT_EQ(program.base_url(), "https://h/v1");
    EXPECT_EQ(program.system_prompt(), "s");
    EXPECT_EQ(program.user_prompt(), "u");
}

TEST(ProgramTest, NamesTextByTheGivenName) {
    try {
        LLMProgram::from_toml_string("x = 1", "my program");
        FAIL() << "accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "my program");
        EXPECT_EQ(error.line(), 1U);
    }
}

TEST(ProgramTest, LoadsWithoutKeyAndMissesItAtStart) {
    const ScopedEnvironment nothing(std::map<std::string, std::string>{});
    const LLMProgram program = LLMProgram::from_toml_string(openai, "p.toml");
    boost::asio::io_context context;
    const boost::asio::any_io_executor executor = context.get_executor();
    const auto check = [](const ConfigError& error) {
        EXPECT_EQ(error.errc(), Errc::missing_api_key);
        EXPECT_EQ(error.file(), "p.toml");
        EXPECT_EQ(error.line(), 3U);
        EXPECT_EQ(error.key(), "model.api_key_env");
        EXPECT_NE(std::string(error.what()).find("OPENAI_API_KEY"), std::string::npos);
    };
    try {
        static_cast<void>(program.start(executor));
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
    const auto awaited = error_of_start<ConfigError>(program);
    ASSERT_TRUE(awaited);
    check(*awaited);
}

TEST(ProgramTest, StartsWithTheKeyOfTheEnvironment) {
    const ScopedEnvironment environment(key_variable);
    const LLMProgram program = LLMProgram::from_toml_string(openai);
    boost::asio::io_context context;
    const boost::asio::any_io_executor executor = context.get_executor();
    const AsyncLLMProcess process = program.start(executor);
    EXPECT_TRUE(process.get_executor() == executor);
    EXPECT_FALSE(error_of_start<LLMError>(program));
    SyncLLMProcess sync = program.start_sync();
    sync.close();
}

TEST(ProgramTest, NamesTheCaFileByItsPlaceInTheProgram) {
    const ScopedEnvironment environment(key_variable);
    const LLMProgram program = LLMProgram::from_toml_string(
        openai + "[connection]\nca_file = \"/no/such/ca.pem\"\n",
        "p.toml"
    );
    const auto check = [](const ConfigError& error) {
        const std::string what = error.what();
        EXPECT_EQ(what.find("p.toml:5:11: connection.ca_file: cannot use CA file"), 0U) << what;
        EXPECT_NE(what.find("No such file"), std::string::npos) << what;
        EXPECT_EQ(error.errc(), Errc::invalid_config);
    };
    const auto awaited = error_of_start<ConfigError>(program);
    ASSERT_TRUE(awaited);
    check(*awaited);
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
}

/// The same private key, encrypted.
std::string encrypted(const std::string& key_pem, std::string passphrase) {
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(
        BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())),
        &BIO_free_all
    );
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr),
        &EVP_PKEY_free
    );
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), &BIO_free_all);
    const int written = PEM_write_bio_PKCS8PrivateKey(
        out.get(),
        key.get(),
        EVP_aes_128_cbc(),
        passphrase.data(),
        static_cast<int>(passphrase.size()),
        nullptr,
        nullptr
    );
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return written == 1 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

/// A folder with a client certificate, its key and the same key encrypted with "open sesame".
class ClientFiles {
public:
    ClientFiles() {
        const testing::Certificate certificate = testing::CertificateAuthority().issue();
        testing::write_file(folder_.path() / "cert.pem", certificate.chain_pem);
        testing::write_file(folder_.path() / "plain.key", certificate.key_pem);
        testing::write_file(
            folder_.path() / "secret.key",
            encrypted(certificate.key_pem, "open sesame")
        );
    }
    /// A program whose line 5 is `[connection]` and 6 to 7 name certificate and key.
    LLMProgram program(const std::string& key, const std::string& rest = "") const {
        testing::write_file(
            folder_.path() / "p.toml",
            openai + "\n[connection]\nclient_cert = \"cert.pem\"\nclient_key = \"" + key + "\"\n" +
                rest
        );
        return LLMProgram::from_toml(folder_.path() / "p.toml");
    }
    const std::filesystem::path& path() const { return folder_.path(); }

private:
    testing::Folder folder_;
};

TEST(ProgramTest, NamesEveryFileOfTlsByItsPlaceInTheProgram) {
    const ScopedEnvironment environment(key_variable);
    const ClientFiles files;
    const std::string cert = "client_cert = \"" + (files.path() / "cert.pem").string() + "\"\n";
    const std::vector<std::pair<std::string, std::string>> rows{
        {"ca_dir = \"/no/such\"\n", "p.toml:5:10: connection.ca_dir: cannot use CA folder"},
        {"client_cert = \"/no/such\"\n", "p.toml:5:15: connection.client_cert: cannot use client"},
        {cert + "client_key = \"/no/such\"\n",
         "p.toml:6:14: connection.client_key: cannot use client key"},
        // The key is missing from the certificate's own file.
        {cert, "p.toml:5:15: connection.client_cert: cannot use client key"},
    };
    for (const auto& [text, beginning] : rows) {
        SCOPED_TRACE(text);
        const auto error = error_of_start<ConfigError>(
            LLMProgram::from_toml_string(openai + "[connection]\n" + text, "p.toml")
        );
        ASSERT_TRUE(error);
        EXPECT_EQ(std::string(error->what()).find(beginning), 0U) << error->what();
    }
}

TEST(ProgramTest, OpensTheClientKeyWithTheVariable) {
    const ClientFiles files;
    const LLMProgram program =
        files.program("secret.key", "client_key_passphrase_env = \"PASSPHRASE\"\n");
    {
        const ScopedEnvironment environment(key_variable);
        const auto error = error_of_start<ConfigError>(program);
        ASSERT_TRUE(error);
        EXPECT_EQ(error->line(), 8U);
        EXPECT_EQ(error->key(), "connection.client_key_passphrase_env");
        const std::string what = error->what();
        EXPECT_NE(what.find("environment variable PASSPHRASE is not set"), std::string::npos);
    }
    auto variables = key_variable;
    variables["PASSPHRASE"] = "wrong";
    {
        const ScopedEnvironment environment(variables);
        const auto error = error_of_start<ConfigError>(program);
        ASSERT_TRUE(error);
        EXPECT_EQ(error->line(), 7U) << error->what();
        EXPECT_EQ(error->key(), "connection.client_key");
    }
    variables["PASSPHRASE"] = "open sesame";
    {
        const ScopedEnvironment environment(variables);
        EXPECT_FALSE(error_of_start<LLMError>(program));
    }
    // Also where the key is at hand already: an answer must not depend on what started earlier.
    const ScopedEnvironment environment(key_variable);
    EXPECT_TRUE(error_of_start<ConfigError>(program));
}

TEST(ProgramTest, AsksForThePassphraseOnce) {
    const ScopedEnvironment environment(key_variable);
    const ClientFiles files;
    auto asked = std::make_shared<int>(0);
    const LLMProgram program = files
                                   .program("secret.key", "client_key_passphrase_env = \"UNSET\"\n")
                                   .with_client_key_passphrase([asked] {
                                       ++*asked;
                                       return std::string("open sesame");
                                   });
    EXPECT_EQ(*asked, 0);
    EXPECT_FALSE(error_of_start<LLMError>(program));
    const LLMProgram copy = program;
    EXPECT_FALSE(error_of_start<LLMError>(copy.with_observer(nullptr)));
    EXPECT_EQ(*asked, 1);
}

TEST(ProgramTest, AsksForNoPassphraseWhereNoneIsNeeded) {
    const ScopedEnvironment environment(key_variable);
    const ClientFiles files;
    const LLMProgram program =
        files.program("plain.key").with_client_key_passphrase([]() -> std::string {
            throw std::logic_error("asked");
        });
    EXPECT_FALSE(error_of_start<std::exception>(program));
}

TEST(ProgramTest, LeavesTheProgramWithoutPassphraseAsItWas) {
    const ScopedEnvironment environment(key_variable);
    const ClientFiles files;
    const LLMProgram program = files.program("secret.key");
    static_cast<void>(program.with_client_key_passphrase([] { return std::string("open sesame"); })
    );
    const auto error = error_of_start<ConfigError>(program);
    ASSERT_TRUE(error);
    const std::string what = error->what();
    EXPECT_NE(what.find("connection.client_key: "), std::string::npos) << what;
    EXPECT_NE(what.find("client_key_passphrase_env"), std::string::npos) << what;
}

TEST(ProgramTest, WhatThePassphraseFunctionThrowsLeavesStart) {
    const ScopedEnvironment environment(key_variable);
    const ClientFiles files;
    const LLMProgram program =
        files.program("secret.key").with_client_key_passphrase([]() -> std::string {
            throw std::range_error("no terminal");
        });
    const auto error = error_of_start<std::range_error>(program);
    ASSERT_TRUE(error);
    EXPECT_STREQ(error->what(), "no terminal");
    EXPECT_THROW(static_cast<void>(program.start_sync()), std::range_error);
    try {
        static_cast<void>(program.with_client_key_passphrase(nullptr));
        FAIL() << "accepted";
    } catch (const LLMError& refused) {
        EXPECT_EQ(refused.errc(), Errc::invalid_argument);
    }
}

class Recorder : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);
        steps_.push_back(event.step);
        model_ = event.model;
    }
    std::vector<CallStep> steps() const {
        const std::lock_guard lock(mutex_);
        return steps_;
    }
    std::string model() const {
        const std::lock_guard lock(mutex_);
        return model_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<CallStep> steps_;
    std::string model_;
};

TEST(ProgramTest, TellsItsObserverAndNobodyElses) {
    testing::LoopbackSocket taken;  // Bound and not listening: connecting is refused.
    const LLMProgram quiet = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"ollama\"\nbase_url = \"http://127.0.0.1:" +
        std::to_string(taken.bind()) + "\"\n[retry]\nmax_attempts = 1\n"
    );
    const auto first = std::make_shared<Recorder>();
    const auto second = std::make_shared<Recorder>();
    const LLMProgram observed = quiet.with_observer(first);
    const LLMProgram other = observed.with_observer(second);
    for (const LLMProgram& program : {quiet, observed}) {
        SyncLLMProcess process = program.start_sync();
        EXPECT_THROW(process.run("hello"), LLMError);
        process.close();
    }
    const std::vector<CallStep> steps = first->steps();
    ASSERT_FALSE(steps.empty());
    EXPECT_EQ(steps.back(), CallStep::done);
    EXPECT_EQ(first->model(), "m");
    EXPECT_TRUE(second->steps().empty());
}

TEST(ProgramTest, AMovedFromProgramSaysSo) {
    LLMProgram program = LLMProgram::from_toml_string(openai);
    const LLMProgram taken = std::move(program);
    EXPECT_EQ(taken.model(), "m");
    // NOLINTNEXTLINE(bugprone-use-after-move)
    EXPECT_EQ(program.model(), "");
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
    EXPECT_THROW(static_cast<void>(program.with_observer(nullptr)), LLMError);
}

}  // namespace
}  // namespace llmproc
