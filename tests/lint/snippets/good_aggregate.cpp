awaitable<void> call() {
    Options options{.model = "x"};
    co_await run(std::move(options));
    co_await run(RunOptions().model("x").temperature(.2));
    auto reply = co_await process.run("hi", RunOptions().timeout(30s));
    auto [error, size] = co_await stream.async_read_some(buffer, asio::as_tuple(asio::deferred));
    const auto typed = co_await process.run_as<std::vector<Weather>>("Weather in Paris");
    auto executor = co_await asio::this_coro::executor;
    this->size_ = co_await count(*this, -1, a < b, a & b);
    *out = co_await number();
    table["key"] = co_await number();
    std::tie(a, b) = co_await pair();
    [[maybe_unused]] auto last = co_await pair();
}
