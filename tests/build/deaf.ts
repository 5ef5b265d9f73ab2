// The program that the tests of Bun's switches compile, as it is and with the switches cleared.

const [, , mode] = process.argv;

// A certificate of nobody's, for a server that lives for one request.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJuqcNvx3TCHW4I66
y3hecPkRdyhfsd391Z3iG/NSjkehRANCAATHRQHFqqd6uikxI0lKI1LX9mwAIAYn
TIXkELvewk4OkTMvNDLdVGteUQdkQ0e+RfaFLQ8kDD+07wqsFZQXQc7r
-----END PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUL9kvjkWOlu76/g4UoO7zQZX3a4owCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIzMTMzOFoYDzIxMjYxMDMw
MjMxMzM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATHRQHFqqd6uikxI0lKI1LX9mwAIAYnTIXkELvewk4OkTMvNDLdVGte
UQdkQ0e+RfaFLQ8kDD+07wqsFZQXQc7ro2kwZzAdBgNVHQ4EFgQUAl3YZQnyj0FD
YGwZR16FmiqGLNAwHwYDVR0jBBgwFoAUAl3YZQnyj0FDYGwZR16FmiqGLNAwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhAOuzr3ym8hTAWCoDaSW5YsM7ZRCS7cVVRvEWm/t5NWKpAiA6Ibrjenyb
LyZPoRol7yLVgBqXFSEQEyfIF4i48lto/w==
-----END CERTIFICATE-----`;

if (mode === "wait") await Bun.sleep(300);
else if (mode === "certificate") console.log(cert);
else if (mode === "fetch") {
  await using server = Bun.serve({ port: 0, tls: { key, cert }, fetch: () => new Response("trusted") });
  console.log(
    await fetch(`https://localhost:${server.port}`).then(
      (reply) => reply.text(),
      (error) => error.code,
    ),
  );
} else if (mode === "warn") process.emitWarning("a warning");
else if (mode === "orphan") {
  // The child ends on its own, and leaves a file behind when it was let live.
  const child = Bun.spawn(["sh", "-c", "sleep 0.3; : > child-lived"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  child.unref();
} else console.log(mode, typeof process.send, process.env.FROM_DOTENV);
