#include <multifork/channel/authentication.hpp>

#include "channel/client_proof.hpp"
#include "channel/link.hpp"
#include "platform/fork_lock.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <string>

namespace multifork {
namespace {

// As in CPython 3.12 (Lib/multiprocessing/connection.py).
constexpr std::string_view challenge_mark = "#CHALLENGE#";
constexpr std::string_view welcome = "#WELCOME#";
constexpr std::string_view failure = "#FAILURE#";
constexpr std::string_view digest_mark = "{sha256}";
constexpr std::size_t random_bytes = 40;
constexpr std::size_t least_challenge = 20;
constexpr std::size_t longest = 256;

std::string random_text(std::size_t count) {
    std::string text(count, '\0');
    for (std::size_t at = 0; at < count;) {
        const ssize_t n = ::getrandom(text.data() + at, count - at, 0);
        if (n < 0 && errno != EINTR)
            platform::throw_errno("asking the kernel for random bytes");
        at += static_cast<std::size_t>(n < 0 ? 0 : n);
    }
    return text;
}

std::string response_to(std::string_view challenge, std::string_view key) {
    // By default exit() takes apart what other threads may be using: a server's never end before
    // their process does.
    static_cast<void>(::OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
               reinterpret_cast<const unsigned char*>(challenge.data()), challenge.size(),
               digest.data(), &length) == nullptr)
        throw Error(std::errc::not_supported, "OpenSSL on this system refuses HMAC-SHA256");
    return std::string(digest_mark) +
           std::string(reinterpret_cast<const char*>(digest.data()), length);
}

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void check_key(std::string_view key) {
    if (key.empty() || key.size() > 1u << 20)
        throw InvalidArgument(fmt::format(
            "an authentication key of {} bytes; give one that is hard to guess, or none at all",
            key.size()));
}

void say(AnyConnection& connection, std::string_view text, platform::Deadline deadline) {
    try {
        if (connection.link().send(std::as_bytes(std::span(text)), deadline))
            return;
    } catch (const BrokenPipe&) {
        throw AuthenticationError("the other side went away during the authentication");
    }
    throw AuthenticationError("the other side takes too long for the authentication");
}

std::string hear(AnyConnection& connection, platform::Deadline deadline) {
    detail::Received received;
    using Outcome = detail::Link::Outcome;
    try {
        switch (connection.link().receive(received, deadline, longest)) {
        case Outcome::done:
            break;
        case Outcome::ended:
            throw AuthenticationError("the other side went away during the authentication; does "
                                      "it use a key at all, and the same one?");
        case Outcome::timed_out:
            throw AuthenticationError("the other side says nothing; does it use a key at all?");
        }
    } catch (const AuthenticationError&) {
        throw;
    } catch (const Error& error) {
        throw AuthenticationError(
            fmt::format("the other side speaks something else: {}", error.what()));
    }
    const auto bytes = received.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The challenges that this process's clients have out.
class ClientsChallenge {
public:
    explicit ClientsChallenge(std::string_view text) : text_(text) {
        const std::scoped_lock hold(lock_);
        drop_the_parents();
        next_ = first_;
        first_ = this;
    }
    ~ClientsChallenge() {
        const std::scoped_lock hold(lock_);
        ClientsChallenge** at = &first_;
        while (*at != nullptr && *at != this)
            at = &(*at)->next_;
        if (*at == this)
            *at = next_;
    }
    ClientsChallenge(const ClientsChallenge&) = delete;
    ClientsChallenge& operator=(const ClientsChallenge&) = delete;

    [[nodiscard]] static bool is_out(std::string_view text) {
        const std::scoped_lock hold(lock_);
        drop_the_parents();
        for (const ClientsChallenge* one = first_; one != nullptr; one = one->next_)
            if (one->text_ == text)
                return true;
        return false;
    }

private:
    /// They lie on the stacks of threads that a forked child does not have.
    static void drop_the_parents() noexcept {
        if (pid_ != platform::process_id())
            first_ = nullptr;
        pid_ = platform::process_id();
    }

    static constinit platform::ForkLock lock_;
    static constinit ClientsChallenge* first_;
    static constinit std::uint32_t pid_;

    std::string_view text_;
    ClientsChallenge* next_ = nullptr;
};
constinit platform::ForkLock ClientsChallenge::lock_;
constinit ClientsChallenge* ClientsChallenge::first_ = nullptr;
constinit std::uint32_t ClientsChallenge::pid_ = 0;

std::string new_challenge() {
    return std::string(digest_mark) + random_text(random_bytes);
}

void deliver(AnyConnection& connection, std::string_view key, std::string_view challenge,
             platform::Deadline deadline) {
    say(connection, std::string(challenge_mark).append(challenge), deadline);
    if (same(hear(connection, deadline), response_to(challenge, key))) {
        say(connection, welcome, deadline);
        return;
    }
    say(connection, failure, deadline);
    throw AuthenticationError("the other side does not know the key: its digest is wrong");
}

void answer(AnyConnection& connection, std::string_view key, bool as_client,
            platform::Deadline deadline) {
    const std::string heard = hear(connection, deadline);
    if (!std::string_view(heard).starts_with(challenge_mark))
        throw AuthenticationError("the other side sent no challenge; does it use a key at all?");
    const std::string_view challenge = std::string_view(heard).substr(challenge_mark.size());
    if (!challenge.starts_with(digest_mark) ||
        challenge.size() < digest_mark.size() + least_challenge)
        throw AuthenticationError("the other side asks for another digest than SHA-256, or with "
                                  "too short a challenge");
    if (as_client && ClientsChallenge::is_out(challenge))
        throw AuthenticationError("the other side sends this process's own challenge back; it does "
                                  "not know the key");
    say(connection, response_to(challenge, key), deadline);
    if (hear(connection, deadline) != welcome)
        throw AuthenticationError("the other side rejected the key");
}

} // namespace

void deliver_challenge(AnyConnection& connection, std::string_view key,
                       std::chrono::nanoseconds timeout) {
    check_key(key);
    deliver(connection, key, new_challenge(), platform::Deadline::after(timeout));
}

void answer_challenge(AnyConnection& connection, std::string_view key,
                      std::chrono::nanoseconds timeout) {
    check_key(key);
    answer(connection, key, false, platform::Deadline::after(timeout));
}

void detail::prove_as_client(AnyConnection& connection, std::string_view key,
                             std::chrono::nanoseconds timeout) {
    check_key(key);
    answer(connection, key, true, platform::Deadline::after(timeout));
    const std::string challenge = new_challenge();
    const ClientsChallenge out(challenge);
    deliver(connection, key, challenge, platform::Deadline::after(timeout));
}

} // namespace multifork
