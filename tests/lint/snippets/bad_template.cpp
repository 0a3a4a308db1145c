// A braced temporary in a template coroutine: internal compiler error in check_noexcept_r.
template <class T>
awaitable<void> start(T value) {
    use(Options{});  // bad
    auto options = Options{.value = value};  // bad
    auto shared = std::make_shared<Options>(Options{.value = value});  // bad
    use({});  // bad
    use(detail::Box<T>{value});  // bad
    co_await run(value);
    co_return Options{};  // bad
}
