//! Pages for people.

use reqwest::{Client, Method, Response, StatusCode, redirect::Policy};
use serde_json::json;

use crate::harness::{
    A, APPS, CONFIG, Running, applying, event, failed, healthy, start, start_with,
};

const TOKENS: &str = "[environments.production]\nreconcilers = [\"staging/Kustomization/a/b\"]\n\
                      [[tokens]]\nname = \"people\"\nsecret = \"env:TOKEN\"\n\
                      scopes = [\"read\", \"write\"]\nenvironments = [\"staging\"]\n";
const TOKEN: &str = "the token of CI";

async fn html(response: Response) -> String {
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    response.text().await.unwrap()
}

async fn page(server: &Running, path: &str) -> String {
    let response = server.send(Method::GET, path, &[], "").await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    html(response).await
}

#[tokio::test]
async fn an_empty_server_says_what_to_do() {
    let server = start_with("listen = \"127.0.0.1:0\"\n").await;
    assert!(page(&server, "/").await.contains("gitops-brain wait"));
}

#[tokio::test]
async fn environments_are_shown_with_their_rollouts_and_what_is_live() {
    let server = start().await;
    let labels = json!({ "labels": { "app": "shop", "url": "https://ci.example.com/1" } });
    server.put(&format!("/v1/rollouts/staging/{A}"), &labels).await;
    let first = page(&server, "/").await;
    assert!(first.contains("staging") && first.contains("in progress"), "{first}");
    assert!(first.contains("never heard"), "{first}");
    server.event(&applying(10, A)).await;
    server.event(&healthy(5, A)).await;
    let then = page(&server, "/").await;
    assert!(then.contains("<span class=\"state healthy\">succeeded</span>"), "{then}");
    assert!(then.contains(&format!("href=\"/rollouts/staging/{A}\"")));
    assert!(then.contains(&format!("href=\"/reconcilers/{APPS}\"")));
    let rollout = page(&server, &format!("/rollouts/staging/{}", &A[..8])).await;
    for part in [A, APPS, "Health check passed in 5.1s", "yes, everywhere", "the rollout</strong>"]
    {
        assert!(rollout.contains(part), "{part} is missing in {rollout}");
    }
    assert!(rollout.contains("<a href=\"https://ci.example.com/1\" rel=\"noopener"), "{rollout}");
    let reconciler = page(&server, &format!("/reconcilers/{APPS}")).await;
    assert!(reconciler.contains("it waits for the health"), "{reconciler}");
}

#[tokio::test]
async fn nothing_that_a_cluster_or_ci_writes_becomes_markup() {
    let server = start().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let labels = json!({ "labels": { "app": evil, "url": "javascript:alert(1)" } });
    server.put(&format!("/v1/rollouts/staging/{A}"), &labels).await;
    server.event(&event(9, A, "error", evil, evil)).await;
    for path in ["/", &format!("/rollouts/staging/{A}"), &format!("/reconcilers/{APPS}")] {
        let page = page(&server, path).await;
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
        assert!(!page.contains("href=\"javascript:"), "{path}: {page}");
        assert!(page.contains("&#60;script&#62;alert") || path == "/", "{path}: {page}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_on_a_page() {
    let server = start().await;
    for path in ["/rollouts/staging/zzz", &format!("/rollouts/stagign/{A}"), "/reconcilers/a/b/c/d"]
    {
        let response = server.send(Method::GET, path, &[], "").await;
        assert!(response.status().is_client_error(), "{path}");
        assert!(html(response).await.contains("All environments"));
    }
    let asset = server.send(Method::GET, "/assets/live.js", &[], "").await;
    assert_eq!(asset.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(server.get("/assets/other").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_is_asked_for_and_kept_in_a_cookie_that_only_reads() {
    let server = start_with(&format!("{CONFIG}{TOKENS}")).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let login = |token: &'static str| {
        let request = client.post(format!("{}/login", server.url));
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={}", token.replace(' ', "+")))
            .send()
    };
    let response = server.send(Method::GET, "/", &[], "").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(html(response).await.contains("type=\"password\""));
    let refused = login("wrong").await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("set-cookie"));
    let begun = login(TOKEN).await.unwrap();
    assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    let cookie = begun.headers()["set-cookie"].to_str().unwrap().to_owned();
    for term in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(term), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN));
    let cookie = cookie.split(';').next().unwrap();
    let with = [("Cookie", cookie)];
    let first = server.send(Method::GET, "/", &with, "").await;
    assert_eq!(first.status(), StatusCode::OK);
    let text = html(first).await;
    assert!(text.contains("staging") && !text.contains("production"), "{text}");
    let stream = server.send(Method::GET, "/v1/stream", &with, "").await;
    assert_eq!(stream.status(), StatusCode::OK);
    let other = server.send(Method::GET, &format!("/rollouts/production/{A}"), &with, "").await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    // It opens nothing that changes anything.
    let path = format!("/v1/rollouts/staging/{A}");
    let put = server.send(Method::PUT, &path, &with, "{}").await;
    assert_eq!(put.status(), StatusCode::UNAUTHORIZED);
    let ended = server.send(Method::POST, "/logout", &with, "").await;
    assert!(ended.status().is_success() || ended.status().is_redirection());
}

#[tokio::test]
async fn a_failure_is_shown_in_the_words_of_flux() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    server.event(&failed(5, A)).await;
    let rollout = page(&server, &format!("/rollouts/staging/{A}")).await;
    assert!(rollout.contains("health check failed after 30s: timeout"), "{rollout}");
    assert!(rollout.contains("<span class=\"state failed\">failed</span>"), "{rollout}");
}
