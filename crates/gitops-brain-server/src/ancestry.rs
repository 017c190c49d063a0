//! `POST /v1/ancestry`, and what registrations say of the descent of commits.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gitops_brain::{Ancestry, CommitObject, Fact, FactBody, Parents};
use serde::{Deserialize, Serialize};

use crate::{
    auth::Caller,
    config::Scope,
    driver,
    limits::{MAX_COMMITS, MAX_PARENTS},
    openapi,
    problem::{Problem, json},
    request,
    service::{Inner, Service},
};

/// Raw commit objects, which prove themselves. Claims are a list instead.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Objects {
    objects: Vec<String>,
}

#[derive(Serialize)]
struct Taken {
    result: &'static str,
    commits: usize,
}

/// Takes in how commits descend from each other.
#[utoipa::path(
    post,
    path = "/v1/ancestry",
    request_body = openapi::Claims,
    responses(
        (status = 202, body = openapi::AncestryTaken, description = "It is stored"),
        (status = 200, body = openapi::AncestryTaken, description = "It was known"),
        openapi::Storing,
    )
)]
pub(crate) async fn post(
    State(Service(inner)): State<Service>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    request::is_json(&headers)?;
    let body = request::body(body).await?;
    let ancestry = if body.trim_ascii().first() == Some(&b'[') {
        claimed(&caller, request::json(&body)?)?
    } else {
        caller.may(Scope::Write)?;
        proved(&request::json::<Objects>(&body)?.objects)?
    };
    let commits = ancestry.parents.len();
    take(&inner, ancestry, commits).await
}

/// Stores what was said of some commits, and answers how many they were.
pub(crate) async fn take(
    inner: &Inner,
    ancestry: Ancestry,
    commits: usize,
) -> Result<Response, Problem> {
    let mut new = false;
    if !ancestry.is_empty() {
        let fact = Fact::new(driver::now(), FactBody::Ancestry(ancestry));
        new = inner.submit(vec![fact]).await?.iter().any(|appended| appended.new);
    }
    let (status, result) =
        if new { (StatusCode::ACCEPTED, "accepted") } else { (StatusCode::OK, "known") };
    Ok(json(status, &Taken { result, commits }))
}

/// What raw commit objects in base64 prove.
pub(crate) fn proved(objects: &[String]) -> Result<Ancestry, Problem> {
    if objects.len() > MAX_COMMITS {
        return Err(Problem::limit(format!("there are more than {MAX_COMMITS} objects")));
    }
    let mut parents = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        let place = format!("objects[{index}]");
        let content = STANDARD.decode(object).map_err(|error| {
            Problem::bad_request("commit_object.malformed", format!("{place}: not base64: {error}"))
        })?;
        let object =
            CommitObject::parse(&content).map_err(|error| Problem::from(error).at(&place))?;
        parents.push(Parents { commit: object.id, parents: object.parents });
    }
    // Computed from the objects' bytes, and so no mere claims.
    Ok(Ancestry::claimed(parents))
}

/// What somebody claims who may.
pub(crate) fn claimed(caller: &Caller, claims: Vec<Parents>) -> Result<Ancestry, Problem> {
    caller.may(Scope::Ancestry)?;
    if claims.len() > MAX_COMMITS {
        return Err(Problem::limit(format!("there are more than {MAX_COMMITS} commits")));
    }
    if claims.iter().any(|claim| claim.parents.len() > MAX_PARENTS) {
        return Err(Problem::limit(format!("a commit has more than {MAX_PARENTS} parents")));
    }
    Ok(Ancestry::claimed(claims))
}
